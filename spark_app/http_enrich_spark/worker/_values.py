"""Reads the values of rows, and writes them into texts and JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

import pyarrow as pa


class InvalidRequestError(ValueError):
    """A row that cannot become a request; the message names the column, never the value."""


class Unreadable:
    """Stands for a value that Python cannot hold, such as a date after the year 9999."""


UNREADABLE = Unreadable()

_UNREADABLE = (ValueError, OverflowError, KeyError, TypeError)
"""What PyArrow raises for dates and texts, for maps with a key twice, and for those with structs as keys."""


def position_of(name: str, names: Sequence[str]) -> int:
    """Find a column; one that differs by case only will do, since Spark's names are case-insensitive."""
    if name in names:
        return names.index(name)
    return [each.lower() for each in names].index(name.lower())


def read_column(column: pa.Array) -> list[Any]:
    """Return the values of *column*; one that cannot be read costs its row, not the batch."""
    try:
        values: list[Any] = column.to_pylist(maps_as_pydicts="strict")
    except _UNREADABLE:
        return [_read(cell) for cell in column]
    return values


def _read(cell: pa.Scalar) -> Any:
    try:
        return cell.as_py(maps_as_pydicts="strict")
    except _UNREADABLE:
        return UNREADABLE


def to_text(value: Any, column: str) -> str:
    """Write a row's value as a text; raises `InvalidRequestError` for null, NaN and structures."""
    if isinstance(value, str):
        return value
    if type(value) is int:
        return str(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return format(value, "f")  # str() would write small ones as 0E-7
    if isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
        return str(value)
    msg = f"column {column} is {_name(value)}, which cannot be written into a text"
    raise InvalidRequestError(msg)


def to_json(value: Any, column: str) -> Any:
    """Check that JSON can carry a row's value; raises `InvalidRequestError`."""
    if isinstance(value, float) and not math.isfinite(value):
        # An encoder would write null, silently.
        msg = f"column {column} has {value}, which JSON does not have"
        raise InvalidRequestError(msg)
    if value is UNREADABLE:
        msg = f"column {column} is {_name(value)}, which cannot be written into JSON"
        raise InvalidRequestError(msg)
    if isinstance(value, Mapping):
        for item in (*value, *value.values()):
            to_json(item, column)
    if isinstance(value, list | tuple):
        for item in value:
            to_json(item, column)
    return value


def _name(value: Any) -> str:
    if value is None:
        return "null"
    if value is UNREADABLE:
        return "out of range, not UTF-8, or a map without plain keys"
    return str(value) if isinstance(value, float) else f"a {type(value).__name__}"
