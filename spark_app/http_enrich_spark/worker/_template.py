"""Compiles texts with `${row.column}` into functions of a row."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time
from typing import Any
from urllib.parse import quote, urlencode

import msgspec

from http_enrich_spark.config._references import Reference, split, walk
from http_enrich_transport import SecretText

Row = Sequence[Any]
Columns = Mapping[str, int]
Render = Callable[[Row], str]


class InvalidRequestError(ValueError):
    """A row that cannot become a request; the message names the column, never the value."""


def columns_of(*values: Any) -> list[str]:
    """Return the columns that the templates in *values* name, each once, in order."""
    names: dict[str, None] = {}
    for value in values:
        for _, text in walk(_revealed(value)):
            names.update({part.name: None for part in split(text) if isinstance(part, Reference)})
    return list(names)


def compile_text(template: str | SecretText, columns: Columns) -> Render:
    """Compile *template* into a function that fills in a row's values as they are."""
    return _compile(template, columns, lambda text, _: text)


def compile_path(template: str | SecretText, columns: Columns) -> Render:
    """
    Compile a URL path: each value is percent-encoded and stays within its segment.

    The path of a row whose segment would be empty, `.` or `..` is refused,
    since it would be another resource.
    """
    segments = [compile_segment(each, columns) for each in _revealed(template).split("/")[1:]]
    return lambda row: "/" + "/".join([segment(row) for segment in segments])


def compile_segment(template: str, columns: Columns) -> Render:
    """Compile one segment of a URL path."""
    parts = split(template)
    literal = quote("".join(part for part in parts if isinstance(part, str)), safe="%:@!$&'()*+,;=~")
    if not any(isinstance(part, Reference) for part in parts):
        return lambda _: literal
    names = ", ".join(part.name for part in parts if isinstance(part, Reference))
    fill = _compile(template, columns, lambda text, _: quote(text, safe=""), quote_literal=True)

    def segment(row: Row) -> str:
        text = fill(row)
        if text in ("", ".", ".."):
            msg = f"column {names} makes the path segment {text!r}, which is another resource"
            raise InvalidRequestError(msg)
        return text

    return segment


def compile_header(template: str | SecretText, columns: Columns) -> Render:
    """Compile a header value; control characters, which could end the header, are refused."""
    return _compile(template, columns, _header_safe)


def compile_query(params: Mapping[str, str | SecretText], columns: Columns) -> Render:
    """Compile *params* into a query string (or an HTML form), without the leading `?`."""
    fills = {name: compile_text(template, columns) for name, template in params.items()}
    return lambda row: urlencode({name: fill(row) for name, fill in fills.items()}, quote_via=quote)


def compile_json(value: Any, columns: Columns) -> Callable[[Row], bytes]:
    """Compile a JSON body; a text that is one `${row.column}` and nothing else keeps the value's type."""
    fill = _compile_json(value, columns)
    return lambda row: _encode(fill(row))


def _compile(
    template: str | SecretText,
    columns: Columns,
    safe: Callable[[str, str], str],
    *,
    quote_literal: bool = False,
) -> Render:
    parts: list[str | tuple[int, str]] = []
    for part in split(_revealed(template)):
        if isinstance(part, Reference):
            parts.append((columns[part.name], part.name))
        else:
            parts.append(quote(part, safe="%:@!$&'()*+,;=~") if quote_literal else part)
    if all(isinstance(part, str) for part in parts):
        literal = "".join(str(part) for part in parts)
        return lambda _: literal
    return lambda row: "".join(
        [part if isinstance(part, str) else safe(to_text(row[part[0]], part[1]), part[1]) for part in parts]
    )


def _compile_json(value: Any, columns: Columns) -> Callable[[Row], Any]:
    if isinstance(value, SecretText | str):
        parts = split(_revealed(value))
        if len(parts) == 1 and isinstance(parts[0], Reference):
            name = parts[0].name
            return lambda row: _json_value(row[columns[name]], name)
        return compile_text(value, columns)
    if isinstance(value, Mapping):
        items = {key: _compile_json(item, columns) for key, item in value.items()}
        return lambda row: {key: fill(row) for key, fill in items.items()}
    if isinstance(value, list | tuple):
        fills = [_compile_json(item, columns) for item in value]
        return lambda row: [fill(row) for fill in fills]
    return lambda _: value


def to_text(value: Any, column: str) -> str:
    """Write a row's value as a text; raises `InvalidRequestError` for null, NaN and structures."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and not math.isfinite(value):
        msg = f"column {column} is {value}, which no request can carry"
        raise InvalidRequestError(msg)
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if value is None or isinstance(value, bytes | list | dict | tuple):
        what = "null" if value is None else f"a {type(value).__name__}"
        msg = f"column {column} is {what}, which cannot be written into a text"
        raise InvalidRequestError(msg)
    return str(value)


def _header_safe(text: str, column: str) -> str:
    if any(char < " " or char == "\x7f" for char in text):
        msg = f"column {column} has a control character, which a header cannot carry"
        raise InvalidRequestError(msg)
    return text


def _json_value(value: Any, column: str) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        msg = f"column {column} is {value}, which JSON does not have"
        raise InvalidRequestError(msg)
    return value


def _encode(value: Any) -> bytes:
    try:
        return msgspec.json.encode(value)
    except (TypeError, ValueError, OverflowError) as error:
        msg = f"the JSON body cannot be written: {type(error).__name__}"
        raise InvalidRequestError(msg) from None


def _revealed(value: Any) -> Any:
    """Return *value* with its secrets readable, at any depth."""
    if isinstance(value, SecretText):
        return value.get_secret_value()
    if isinstance(value, Mapping):
        return {key: _revealed(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_revealed(item) for item in value]
    return value
