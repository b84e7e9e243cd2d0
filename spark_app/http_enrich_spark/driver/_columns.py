"""Makes the published columns of what was answered; all of it happens in the JVM."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import StringType, StructField, StructType

from http_enrich_spark.config import PipelineConfig

from ._decimals import endless_decimals
from ._names import RESERVED, ROW, quoted

_CORRUPT = f"{RESERVED}_corrupt"
_PARSED = f"{RESERVED}_parsed"


def columns_of(answered: DataFrame, config: PipelineConfig, schema: StructType | None) -> DataFrame:
    """Return *answered* with the columns of *schema*, read from the kept bodies, before the column `http`."""
    http = F.col("http")
    columns = [F.col(quoted(name)) for name in answered.columns if name not in (ROW, "http")]
    if schema is not None:
        path = _path(config.response.select)
        answered = answered.withColumn(_PARSED, _parsed(schema, path))
        selected = _selected(path)
        http = _with_schema_error(http, selected)
        columns += [selected[name].alias(name) for name in schema.fieldNames()]
    if not config.response.keep_body:
        # What did not fit the schema is paid for: only its text can still be put to use.
        unread = F.when(http["outcome"] == "parse", http["body"])
        http = http.withField("body", unread)
    return answered.select(*columns, http.alias("http"))


def fitting(answered: DataFrame, ddl: str, select: str | None) -> DataFrame:
    """Return those rows of *answered* whose body, if it is read, has the columns of *ddl* at *select*."""
    path, schema = _path(select), StructType.fromDDL(ddl)
    assert isinstance(schema, StructType)  # noqa: S101 - a run has read bodies with it
    parsed = answered.withColumn(_PARSED, _parsed(schema, path))
    return parsed.where(~_broken(_selected(path))).drop(_PARSED)


def _path(select: str | None) -> list[str]:
    return select.split(".") if select else []


def _selected(path: list[str]) -> Column:
    selected = F.col(_PARSED)
    for name in path:
        selected = selected[name]
    return selected


def _parsed(schema: StructType, path: list[str]) -> Column:
    """
    Read *schema*, which stands at *path*, from the body of each success.

    What does not fit lands in the corrupt column. The whole body is parsed at
    once: cutting a part out first would round its numbers.
    """
    for name in reversed(path):
        schema = StructType([StructField(name, schema)])
    wide = StructType([*schema.fields, StructField(_CORRUPT, StringType())])
    body = F.coalesce(F.col("http.body"), F.lit(""))
    readable = F.col("http.outcome") == "ok"
    endless = endless_decimals(schema)
    if endless is not None:
        readable &= ~body.rlike(endless)
    text = F.when(readable, body)
    return F.from_json(text, wide, {"columnNameOfCorruptRecord": _CORRUPT})


def _with_schema_error(http: Column, selected: Column) -> Column:
    """Turn a success whose body has not the promised columns into a failure that says so."""
    failed = (
        http.withField("outcome", F.lit("parse"))
        .withField("error_kind", F.lit("schema_mismatch"))
        .withField("error", F.lit("the body does not have the columns of response.schema"))
    )
    return F.when(_broken(selected), failed).otherwise(http)


def _broken(selected: Column) -> Column:
    return (F.col("http.outcome") == "ok") & (
        F.col(_PARSED).isNull() | F.col(_PARSED)[_CORRUPT].isNotNull() | selected.isNull()
    )
