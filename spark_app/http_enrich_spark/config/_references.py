"""Finds and reads the `${namespace.name}` placeholders of a text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from http_enrich_transport import did_you_mean

from ._problems import Path

NAMESPACES = ("var", "env", "run", "conn", "file", "row")
CONNECTION_FIELDS = ("host", "port", "schema", "login", "password", "conn_type")
RUN_FIELDS = ("id", "date", "window_start", "window_end", "partition_key")

_PLACEHOLDER = re.compile(r"\$\$\{|\$\{([^{}]*)\}?")


class Reference(NamedTuple):
    """One placeholder: `${conn.api.password}` is `("conn", "api.password")`."""

    namespace: str
    name: str

    @property
    def text(self) -> str:
        """The placeholder as it is written."""
        return f"${{{self.namespace}.{self.name}}}"


def split(text: str) -> list[str | Reference]:
    """
    Split *text* into literals and references; `$${` is a literal `${`.

    Raises `ValueError` for a placeholder that has no meaning.
    """
    parts: list[str | Reference] = []
    end = 0
    for match in _PLACEHOLDER.finditer(text):
        parts.append(text[end : match.start()])
        end = match.end()
        parts.append("${" if match[0] == "$${" else _reference(match[0], match[1]))
    parts.append(text[end:])
    return [part for part in parts if part]


def _reference(written: str, inner: str) -> Reference:
    if not written.endswith("}"):
        msg = f"{written[:40]!r} is not closed by '}}' (a literal '${{' is written '$${{')"
        raise ValueError(msg)
    namespace, _, name = inner.partition(".")
    # A path may be written ${file./run/secrets/key}: the dot belongs to the syntax.
    if namespace not in NAMESPACES or not name:
        known = ", ".join(f"${{{known}.…}}" for known in NAMESPACES)
        msg = f"no placeholder {written!r}; there are {known}"
        raise ValueError(msg)
    if namespace == "run" and name not in RUN_FIELDS:
        msg = f"no placeholder {written!r}; ${{run.…}} has {', '.join(RUN_FIELDS)}"
        raise ValueError(msg)
    if namespace == "conn":
        _check_field(written, *name.partition(".")[::2])
    return Reference(namespace, name)


def _check_field(written: str, conn_id: str, field: str) -> None:
    if field in CONNECTION_FIELDS or field.startswith("extra."):
        return
    if not field:
        msg = f"{written!r} names no field; write ${{conn.{conn_id}.password}}, .login, .host or .extra.KEY"
        raise ValueError(msg)
    hint = did_you_mean(field, CONNECTION_FIELDS, f"there are {', '.join(CONNECTION_FIELDS)}, extra.KEY")
    msg = f"{written!r}: a connection such as {conn_id!r} has no field {field!r}; {hint}"
    raise ValueError(msg)


def walk(value: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Yield every text below *value* with its path."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from walk(item, (*path, key))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from walk(item, (*path, index))


def rewrite(value: Any, change: Callable[[Any, Path], Any], path: Path = ()) -> Any:
    """Return a copy of *value* in which every leaf is what *change* makes of it and its path."""
    if isinstance(value, Mapping):
        return {key: rewrite(item, change, (*path, key)) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [rewrite(item, change, (*path, index)) for index, item in enumerate(value)]
    return change(value, path)


def references(text: str) -> list[Reference]:
    """Return the placeholders of *text*; raises `ValueError` as `split` does."""
    return [part for part in split(text) if isinstance(part, Reference)]


def connection_ids(data: Any) -> set[str]:
    """Return the ids of the connections that *data* refers to."""
    found = (each for _, text in walk(data) for each in references(text))
    return {each.name.split(".")[0] for each in found if each.namespace == "conn"}
