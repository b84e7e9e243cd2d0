"""Reads the source and checks that the pipeline fits it, before anything is paid for."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

from pyspark.errors import AnalysisException, ParseException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType

from http_enrich_spark.config import PipelineConfig, SourceConfig, plain_options
from http_enrich_spark.worker import row_columns
from http_enrich_transport import did_you_mean

from ._database import Database
from ._errors import RunError, first_line
from ._names import RESERVED


def read_source(spark: SparkSession, source: SourceConfig) -> DataFrame:
    """Return the rows of *source*; raises `RunError` when Spark cannot find or parse it."""
    try:
        rows = _open(spark, source)
        return rows.where(source.where) if source.where else rows
    except AnalysisException as error:
        msg = f"source: {first_line(error)}"
        raise RunError(msg) from error


def reading(spark: SparkSession, source: SourceConfig) -> AbstractContextManager[None]:
    """Return a block in which errors of the source's database, if it is in one, show no secret."""
    if source.format != "jdbc":
        return nullcontext()
    return Database(spark, source.options).told("source: the database cannot be read")


def _open(spark: SparkSession, source: SourceConfig) -> DataFrame:
    if source.format == "jdbc":
        return _open_database(spark, source)
    if source.table is not None:
        return spark.table(source.table)
    if source.query is not None:
        return spark.sql(source.query)
    return spark.read.format(source.format).options(**plain_options(source.options)).load(source.path)


def _open_database(spark: SparkSession, source: SourceConfig) -> DataFrame:
    database = Database(spark, source.options)
    with reading(spark, source), database.unseen():
        with database.connect() as connection:  # Spark itself does not say why it could not connect
            table = ".".join(map(connection.quoted, source.table.split("."))) if source.table else None
        named = {"dbtable": table, "query": source.query}
        given = {name: value for name, value in named.items() if value is not None}
        return spark.read.format("jdbc").options(**database.options, **given).load()


def response_schema(config: PipelineConfig) -> StructType | None:
    """Parse `response.schema`, in the JVM; raises `RunError`."""
    ddl = config.response.schema_
    if ddl is None:
        return None
    try:
        schema = StructType.fromDDL(ddl)
    except ParseException as error:
        msg = f"response.schema: {first_line(error)} (write Spark DDL such as 'name STRING, age INT')"
        raise RunError(msg) from error
    if not isinstance(schema, StructType):
        msg = f"response.schema: {ddl!r} names no columns; write Spark DDL such as 'name STRING, age INT'"
        raise RunError(msg)
    return schema


def check_columns(rows: DataFrame, config: PipelineConfig, schema: StructType | None) -> list[str]:
    """
    Return the names of the columns that the run will write.

    Raises `RunError` when the pipeline names columns that are not there, or
    would name one twice.
    """
    columns = {name.lower(): name for name in rows.columns}
    _check_known("source.id", config.source.id, columns)
    _check_known("endpoint", row_columns(config.endpoint), columns)
    for name in [*(schema.fieldNames() if schema else ()), "http"]:
        if name.lower() in columns:
            if name == "http":
                msg = "'http' is the result's struct; rename that column in source or response.schema"
                raise RunError(msg)
            where = "the source" if name.lower() in map(str.lower, rows.columns) else "response.schema"
            msg = f"{where} has a column {columns[name.lower()]!r} already; rename one of them"
            raise RunError(msg)
        columns[name.lower()] = name
    if any(name.startswith(RESERVED) for name in columns):
        msg = f"names that begin with {RESERVED} are ours; rename the column in source.query"
        raise RunError(msg)
    _check_known("sink.partition_by", config.sink.partition_by, columns)
    return list(columns.values())


def _check_known(where: str, names: list[str], columns: dict[str, str]) -> None:
    for name in names:
        if name.lower() not in columns:
            hint = did_you_mean(name, columns.values(), f"there are: {', '.join(columns.values())}")
            msg = f"{where}: no column {name!r}; {hint}"
            raise RunError(msg)
