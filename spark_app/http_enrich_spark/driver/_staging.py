"""The folder where one run keeps its frozen input and its answers until they are published."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from uuid import uuid4

from pyspark.sql import DataFrame, SparkSession

from http_enrich_spark._logs import logger
from http_enrich_spark.config import PipelineConfig

from ._errors import RunError, first_line


class Staging:
    """A folder that only this run owns."""

    def __init__(self, spark: SparkSession, config: PipelineConfig) -> None:
        self._spark = spark
        self._given = config.execution.checkpoint is not None
        self.path = f"{config.checkpoint}/{config.name}-{uuid4().hex[:12]}"

    def keep(self, name: str, rows: DataFrame) -> DataFrame:
        """Write *rows* once and return what was written; everything later reads that."""
        folder = f"{self.path}/{name}"
        rows.write.parquet(folder)
        # The schema is given so that an empty table can be read back too.
        return self._spark.read.schema(rows.schema).parquet(folder)

    @contextmanager
    def dropped_on_error(self) -> Iterator[None]:
        """Delete the folder when the block fails: what is in there is of no use to anyone."""
        try:
            yield
        except BaseException:
            self.remove()
            raise

    @contextmanager
    def kept_on_error(self) -> Iterator[None]:
        """Say where the answers are when the block fails: some are paid for."""
        try:
            yield
        except Exception as error:
            if not isinstance(error, RunError):
                logger.error("after the requests something failed", exc_info=error)
            kept = f"rows, answers and errors are kept in {self.path}/answers"
            msg = f"{first_line(error)}\nNothing is lost: {kept}"
            raise RunError(msg) from error

    def remove(self) -> None:
        """Delete the folder; a run does not fail because that fails, since its result is out already."""
        try:
            path, files = hadoop_path(self._spark, self.path)
            files.delete(path, True)
        except Exception as error:  # noqa: BLE001 - whatever a file system may throw
            logger.warning("could not delete %s (%s); delete it by hand", self.path, type(error).__name__)
            return
        self._remove_empty_parent(path.getParent(), files)

    def _remove_empty_parent(self, parent: Any, files: Any) -> None:
        # Another run may be putting its folder there just now; then this fails, as it should.
        with suppress(Exception):
            if not self._given and not files.listStatus(parent):
                files.delete(parent, False)


def hadoop_path(spark: SparkSession, path: str) -> tuple[Any, Any]:
    """Return *path* as Hadoop knows it, and the file system it is on."""
    context: Any = spark.sparkContext
    hadoop = context._jvm.org.apache.hadoop.fs.Path(path)
    return hadoop, hadoop.getFileSystem(context._jsc.hadoopConfiguration())
