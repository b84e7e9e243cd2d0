"""Tables of Spark's own catalog that are nothing but folders of files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from pyspark.sql import SparkSession
from pyspark.sql.types import StructType

from http_enrich_spark.config import FILE_FORMATS, SinkConfig

from ._check import sink_exists


class FileTable:
    """The table called *name*, which is there, in Spark's own catalog."""

    def __init__(self, spark: SparkSession, name: str) -> None:
        session: Any = spark._jsparkSession
        context: Any = spark.sparkContext
        self._spark, self.name, self._jvm = spark, name, context._jvm
        self._hadoop_path = self._jvm.org.apache.hadoop.fs.Path
        self._catalog = session.sessionState().catalog()
        self._identifier = session.sessionState().sqlParser().parseTableIdentifier(name)
        self._metadata = self._catalog.getTableMetadata(self._identifier)
        self._schema = StructType.fromJson(json.loads(self._metadata.schema().json()))

    @classmethod
    def of(cls, spark: SparkSession, sink: SinkConfig, schema: StructType) -> FileTable | None:
        """
        Return the table of *sink* if its files may be exchanged, by others with the same *schema*.

        None for a table that is not there, of another catalog or format, in buckets, or with other types
        or partitions: Spark's own commit knows what to do with those.
        """
        if (
            sink.table is None
            or spark.catalog.currentCatalog() != "spark_catalog"
            or sink.table.count(".") > 1
        ):
            return None
        if sink.format not in FILE_FORMATS or not sink_exists(spark, sink):
            return None
        table = cls(spark, sink.table)
        return table if table._fits(sink, schema) else None

    @property
    def columns(self) -> list[str]:
        """The columns in the order in which the files have them."""
        return self._schema.names

    def files(self, sink: SinkConfig) -> SinkConfig:
        """Return *sink* as one at a path."""
        options = {**sink.options, **self._options()}
        return sink.model_copy(update={"path": self._path(self._metadata), "table": None, "options": options})

    def refresh(self) -> None:
        """Have the catalog know the partitions that are there now, and forget what it knew of the files."""
        if self._tracks_partitions():
            self._spark.sql(f"MSCK REPAIR TABLE {self.name} SYNC PARTITIONS")
        self._catalog.alterTableStats(self._identifier, self._jvm.scala.Option.empty())
        self._spark.catalog.refreshTable(self.name)

    def _fits(self, sink: SinkConfig, schema: StructType) -> bool:
        metadata = self._metadata
        plain = metadata.tableType().name() in ("MANAGED", "EXTERNAL") and metadata.bucketSpec().isEmpty()
        own = metadata.provider().isDefined() and str(metadata.provider().get()).lower() == sink.format
        parted = [name.lower() for name in sink.partition_by] == [each.lower() for each in self._partitions()]
        return plain and own and parted and _same(schema, self._schema) and self._is_in_one_place()

    def _partitions(self) -> list[str]:
        return [str(name) for name in _each(self._metadata.partitionColumnNames())]

    def _tracks_partitions(self) -> bool:
        return bool(self._partitions()) and bool(self._metadata.tracksPartitionsInCatalog())

    def _is_in_one_place(self) -> bool:
        """Say whether every partition that the catalog knows is below the table's own folder."""
        if not self._tracks_partitions():
            return True
        found = self._catalog.listPartitions(self._identifier, self._jvm.scala.Option.empty())
        top = self._path(self._metadata).rstrip("/")
        return all(self._path(each).startswith(f"{top}/") for each in _each(found))

    def _path(self, owner: Any) -> str:
        return str(self._hadoop_path(owner.location()).toString())

    def _options(self) -> dict[str, str]:
        found = [
            (str(each._1()), str(each._2())) for each in _each(self._metadata.storage().properties().toSeq())
        ]
        return {name: value for name, value in found if name not in ("path", "serialization.format")}


def _each(scala: Any) -> Iterator[Any]:
    """Yield what is in a sequence of Scala's, whose own iterator ends with an exception, which is dear."""
    indexed = scala.toIndexedSeq()
    return (indexed.apply(index) for index in range(indexed.size()))


def _same(rows: StructType, table: StructType) -> bool:
    """Say whether files of *rows* are what a *table* holds, which may have more to say than its types."""
    special = any(set(field.metadata or {}) - {"comment"} for field in table.fields)
    return not special and _types(rows) == _types(table)


def _types(schema: StructType) -> dict[str, str]:
    return {field.name.lower(): field.dataType.simpleString() for field in schema.fields}
