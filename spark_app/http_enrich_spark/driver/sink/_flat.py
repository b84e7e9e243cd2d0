"""Columns for formats that know no structs, maps and arrays."""

from __future__ import annotations

from collections.abc import Iterator

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, DataType, MapType, StringType, StructField, StructType

from http_enrich_spark.driver._names import quoted

FLAT_FORMATS = frozenset({"csv", "jdbc"})
"""Formats whose columns hold single values only."""

_NESTED = (ArrayType, MapType, StructType)


def flat(rows: DataFrame) -> DataFrame:
    """Return *rows* with a column for each field of `http`, and with other nested columns as JSON texts."""
    return rows.select(*[column.alias(name) for name, column, _ in _columns(rows.schema)])


def flat_schema(schema: StructType) -> StructType:
    """Return the schema of what `flat` makes of rows of *schema*."""
    return StructType([StructField(name, type) for name, _, type in _columns(schema)])


def _columns(schema: StructType) -> Iterator[tuple[str, Column, DataType]]:
    for field in schema.fields:
        column = F.col(quoted(field.name))
        if field.name == "http" and isinstance(field.dataType, StructType):
            for part in field.dataType.fields:
                yield (f"http_{part.name}", *_single(column[part.name], part.dataType))
        else:
            yield (field.name, *_single(column, field.dataType))


def _single(column: Column, type: DataType) -> tuple[Column, DataType]:
    return (F.to_json(column), StringType()) if isinstance(type, _NESTED) else (column, type)
