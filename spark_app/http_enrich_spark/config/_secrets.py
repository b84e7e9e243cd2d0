"""Finds what must not be seen in a loaded pipeline."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from http_enrich_transport import SecretText

from ._template import Template


def secret_texts(value: Any) -> Iterator[str]:
    """Yield every secret text below *value*, be it from a connection, a file or the environment."""
    if isinstance(value, SecretText):
        yield value.get_secret_value()
    elif isinstance(value, Template) and value.secret:
        yield from (part for part in value.parts if isinstance(part, str))
    elif isinstance(value, BaseModel):
        yield from secret_texts(list(vars(value).values()))
    elif isinstance(value, Mapping):
        yield from secret_texts(list(value.values()))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from secret_texts(item)
