"""Publishes into a table of a database: written aside by Spark, and then made visible by one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import uuid4

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StringType, StructType

from http_enrich_spark.config import SinkConfig
from http_enrich_spark.driver._database import Connection, Database
from http_enrich_spark.driver._errors import RunError
from http_enrich_spark.driver._frames import no_rows
from http_enrich_spark.driver._names import quoted

from ._fit import check_keys, check_names
from ._flat import flat, flat_schema
from ._statements import Statements, create_published, find_published, note_published

PUBLISHED = "_http_enrich_published"
"""The table, beside the sink, of the runs that were published, each written in its own transaction."""

_BATCH = {"batchsize": "100"}
"""Rows that a task holds at a time; Spark's own 1,000 may be 10 GiB of answers."""


def publish_jdbc(rows: DataFrame, sink: SinkConfig, token: str) -> None:
    """
    Write *rows* into a table of their own, and have one transaction put them into the sink.

    The transaction also writes down the *token*, so that a later call knows whether it was done, and a
    second one of the same run fails. Raises `RunError`.
    """
    table = _Table(rows.sparkSession, sink, token)
    with table.database.told(f"sink: {sink.name} cannot be written"):
        table.prepare()
        if not table.is_published():
            whole = _storable(flat(rows))
            table.switch(table.stage(whole), whole.columns, whole.count())
        table.tidy()


def rehearse_jdbc(schema: StructType, sink: SinkConfig, token: str, spark: SparkSession) -> None:
    """
    Do all that `publish_jdbc` will do, for rows of *schema* but without any, and undo it.

    Raises `RunError` for columns, types and rights that do not fit.
    """
    table, flattened = _Table(spark, sink, token), flat_schema(schema)
    with table.database.told(f"sink: {sink.name} cannot be written"):
        table.prepare()
        if not table.is_published():
            table.try_out(table.stage(no_rows(spark, flattened)), flattened.names)
        table.tidy()


def exists_in_database(spark: SparkSession, sink: SinkConfig) -> bool:
    """Say whether there is the table; raises `RunError` if the database does not say."""
    table = _Table(spark, sink, "")
    with (
        table.database.told(f"sink: {sink.name} cannot be looked for"),
        table.database.connect() as connection,
    ):
        return bool(table.columns(connection))


class _Table:
    """The sink's table, and those that stand beside it while the run with this *token* is published."""

    def __init__(self, spark: SparkSession, sink: SinkConfig, token: str) -> None:
        self.database = Database(spark, sink.options)
        self._sink, self._token, self._stages = sink, token, f"_http_enrich_{token}_"
        self._given_schema, _, self._name = (sink.table or "").rpartition(".")

    def prepare(self) -> None:
        """Make the table of what was published if there is none, and delete what dead tries have left."""
        with self.database.connect() as connection:
            if not connection.columns(self._schema(connection), PUBLISHED):
                connection.run(create_published(self._beside(connection, PUBLISHED)))
        self.tidy()

    def is_published(self) -> bool:
        """Say whether a transaction of this run has been committed."""
        with self.database.connect() as connection:
            return connection.finds(find_published(self._beside(connection, PUBLISHED), self._token))

    def columns(self, connection: Connection) -> list[str]:
        """Return the columns of the sink's table, none if there is no such table."""
        return connection.columns(self._schema(connection), self._name)

    def stage(self, rows: DataFrame) -> str:
        """Have Spark write *rows* into a new table, and return its name."""
        # Another one for each try: tasks of one that is not quite dead yet may still write into theirs.
        name = f"{self._stages}{uuid4().hex[:8]}"
        with self.database.connect() as connection:
            place = self._beside(connection, name)
        with self.database.unseen():
            options = {**_BATCH, **self.database.options, "dbtable": place}
            rows.write.format("jdbc").options(**options).mode("error").save()
        return name

    def switch(self, stage: str, columns: Sequence[str], rows: int) -> None:
        """Put the *rows* of *stage* into the sink, and write down that it was done."""
        with self.database.connect() as connection, connection.transaction():
            put = self._put(connection, stage, columns)
            if put != rows:
                msg = f"sink: {put:,} rows were staged for {rows:,}: Spark has repeated a task; run it again"
                raise RunError(msg, retry=True)
            connection.commit()

    def try_out(self, stage: str, columns: Sequence[str]) -> None:
        """Do the same with a *stage* that is empty, without deleting anything; all of it is undone."""
        with self.database.connect() as connection, connection.transaction():
            self._put(connection, stage, columns, condition=" AND 1 = 0")

    def tidy(self) -> None:
        """Delete the tables into which tries of this run have written."""
        with self.database.connect() as connection:
            for name in connection.tables(self._schema(connection), self._stages):
                connection.run(f"DROP TABLE {self._beside(connection, name)}")

    def _put(self, connection: Connection, stage: str, columns: Sequence[str], condition: str = "") -> int:
        # First of all: of two tries that are here at once, the second one waits, and then fails.
        connection.run(note_published(self._beside(connection, PUBLISHED), self._token))
        found = self.columns(connection)
        if found and self._sink.mode == "error":
            msg = f"sink: {self._sink.name} is there by now, and mode is 'error'; drop it, or change the mode"
            raise RunError(msg)
        statements = self._statements(connection, stage, columns, found)
        if not found:
            connection.run(statements.create())
        elif self._sink.mode == "overwrite":
            connection.run(statements.delete_all() + condition)
        elif self._sink.mode == "overwrite_partitions":
            for statement in statements.delete_partitions():
                connection.run(statement + condition)
        return connection.run(statements.insert())

    def _statements(
        self, connection: Connection, stage: str, columns: Sequence[str], found: Sequence[str]
    ) -> Statements:
        check_names(self._sink, found or columns, columns)
        theirs = {name.lower(): connection.quoted(name) for name in found or columns}
        pairs = {name.lower(): (theirs[name.lower()], connection.quoted(name)) for name in columns}
        check_keys(self._sink, columns)
        return Statements(
            target=self._beside(connection, self._name),
            stage=self._beside(connection, stage),
            columns=list(pairs.values()),
            keys=[pairs[name.lower()] for name in self._sink.partition_by],
        )

    def _schema(self, connection: Connection) -> str:
        return self._given_schema or connection.schema()

    def _beside(self, connection: Connection, name: str) -> str:
        """Write the *name* of a table that is where the sink's is."""
        return f"{connection.quoted(self._schema(connection))}.{connection.quoted(name)}"


def _storable(rows: DataFrame) -> DataFrame:
    """Return *rows* with U+FFFD for the character NUL, which PostgreSQL takes in no text."""
    columns = []
    for field in rows.schema.fields:
        column = F.col(quoted(field.name))
        if isinstance(field.dataType, StringType):
            column = F.replace(column, F.lit("\0"), F.lit("\ufffd"))
        columns.append(column.alias(field.name))
    return rows.select(*columns)
