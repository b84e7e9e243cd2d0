"""Reads the source and checks that the pipeline fits it, before anything is paid for."""

from __future__ import annotations

from pyspark.errors import AnalysisException, ParseException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType

from http_enrich_spark.config import PipelineConfig, SourceConfig
from http_enrich_spark.worker import row_columns
from http_enrich_transport import did_you_mean

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


def _open(spark: SparkSession, source: SourceConfig) -> DataFrame:
    if source.table is not None:
        return spark.table(source.table)
    if source.query is not None:
        return spark.sql(source.query)
    return spark.read.format(source.format).options(**source.options).load(source.path)


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
