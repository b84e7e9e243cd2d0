"""Finds numbers that would keep Spark busy for hours, before it reads them as DECIMAL."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pyspark.sql.types import ArrayType, DataType, DecimalType, MapType, StructType

# Java writes all digits of a decimal before it looks at how many there are: `1e9999999` takes 15 s, and
# `1e99999999` did not end; of a text, which Spark takes for a DECIMAL too, a million digits take 13 s.
_BARE = r"[:\[,]\s*+-?[0-9]++(?:\.[0-9]++)?[eE][-+]?[0-9]{7,}+\s*+[,}\]]"
_TEXT = r'\s*+"(?:[-+.,\p{Nd}]*+[eE][-+.,\p{Nd}]{7}|[-+.,\p{Nd}]{1001})'

_PLAIN = re.compile(r"[A-Za-z0-9_ .-]+")
"""Names that look in JSON as they do in a schema."""


def endless_decimals(schema: StructType) -> str | None:
    """
    Return a regular expression of Java that finds such a number in a body, None if *schema* has no DECIMAL.

    A text is looked at only where the key before it is that of a DECIMAL: an id such as `12e4567890` is
    none. Who writes the number with JSON escapes is not found out.
    """
    names = set(_names(schema))
    if not names:
        return None
    plain = sorted(re.escape(name) for name in names if name and _PLAIN.fullmatch(name))
    keys = [rf'"(?:{"|".join(plain)})"\s*+:'] if plain else []
    others = [r"[:\[,]"] if len(plain) < len(names) else []
    return "|".join([_BARE, *(f"{before}{_TEXT}" for before in [*keys, *others])])


def _names(type: DataType, name: str = "") -> Iterator[str]:
    """Yield the name of every field of *type* that is a DECIMAL, or nothing for one that has no name."""
    if isinstance(type, DecimalType):
        yield name
    elif isinstance(type, StructType):
        for field in type.fields:
            yield from _names(field.dataType, field.name)
    elif isinstance(type, ArrayType):
        yield from _names(type.elementType)
    elif isinstance(type, MapType):
        yield from _names(type.valueType)
