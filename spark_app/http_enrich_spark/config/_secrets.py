"""Finds what must not be seen in a loaded pipeline."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from http_enrich_transport import SecretText

from ._template import Template


def secret_texts(value: Any) -> set[str]:
    """Return every secret text below *value*, be it from a connection, a file or the environment."""
    return {each.get_secret_value() for each in secrets(value)}


def secrets(value: Any) -> Iterator[SecretText]:
    """Yield every secret below *value*."""
    if isinstance(value, SecretText):
        yield value
    elif isinstance(value, Template):
        yield from secrets(value.parts)
    elif isinstance(value, BaseModel):
        yield from secrets(list(vars(value).values()))
    elif isinstance(value, Mapping):
        yield from secrets(list(value.values()))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from secrets(item)
