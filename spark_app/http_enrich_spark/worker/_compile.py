"""Compiles templates into functions of a row; done once per worker."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote, unquote, urlencode

import msgspec

from http_enrich_spark.config import Reference, Template

from ._values import InvalidRequestError, to_json, to_text

Row = Sequence[Any]
Columns = Mapping[str, int]
Render = Callable[[Row], str]

MAX_HEADER = 8 * 1024
"""Characters of a header value; common servers refuse longer ones (nginx and Apache: 8 KiB)."""

_PATH_SAFE = "%:@!$&'()*+,;=~"
"""What the author of a pipeline may write into a path as it is (RFC 3986 §3.3), escapes included."""

_json = msgspec.json.Encoder(decimal_format="number")


def columns_of(value: Any) -> list[str]:
    """Return the columns that the templates below *value* name, in order."""
    if isinstance(value, Template):
        return value.columns
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return [column for item in value for column in columns_of(item)]
    return []


def compile_text(template: Template, columns: Columns) -> Render:
    """Compile *template* into a function that fills in a row's values as they are."""
    return _compile(template.revealed, columns, lambda text: text, lambda text: text)


def compile_path(template: Template, columns: Columns) -> Render:
    """
    Compile a URL path: each value is percent-encoded and stays within its segment.

    The path of a row whose segment would be blank, `.` or `..` is refused,
    since it would be another resource.
    """
    segments = [_compile_segment(parts, columns) for parts in _segments(template)]
    return lambda row: "/" + "/".join([segment(row) for segment in segments])


def _segments(template: Template) -> list[list[str | Reference]]:
    """Cut the parts of a path at the slashes of its literals."""
    segments: list[list[str | Reference]] = [[]]
    for part in template.revealed:
        if isinstance(part, Reference):
            segments[-1].append(part)
            continue
        first, *rest = part.split("/")
        segments[-1].append(first)
        segments += [[each] for each in rest]
    return segments[1:]


def _compile_segment(parts: Sequence[str | Reference], columns: Columns) -> Render:
    fill = _compile(parts, columns, lambda text: quote(text, safe=_PATH_SAFE), _quoted)
    names = ", ".join(part.name for part in parts if isinstance(part, Reference))
    return _checked(fill, names) if names else fill


def _quoted(text: str) -> str:
    return text if text.isascii() and text.isalnum() else quote(text, safe="")


def _checked(fill: Render, names: str) -> Render:
    def segment(row: Row) -> str:
        text = fill(row)
        if text.isalnum():
            return text
        # Servers decode before they resolve dots, so `%2e.` is `..` as well.
        plain = unquote(text)
        if plain in (".", "..") or not plain.strip():
            msg = f"column {names} makes the path segment {plain!r}, which is another resource"
            raise InvalidRequestError(msg)
        return text

    return segment


def compile_header(template: Template, columns: Columns) -> Render:
    """Compile a header value; control characters, which could end the header, are refused."""
    fill = compile_text(template, columns)
    names = ", ".join(template.columns)

    def header(row: Row) -> str:
        text = fill(row)
        if any(char < " " or char == "\x7f" for char in text):
            msg = f"column {names} has a control character, which a header cannot carry"
            raise InvalidRequestError(msg)
        if len(text) > MAX_HEADER:
            msg = f"column {names} makes a header of {len(text)} characters, more than {MAX_HEADER}"
            raise InvalidRequestError(msg)
        return text

    return header if names else fill


def compile_query(params: Mapping[str, Template], columns: Columns) -> Render:
    """Compile *params* into a query string (or an HTML form), without the leading `?`."""
    fills = {name: compile_text(template, columns) for name, template in params.items()}
    return lambda row: urlencode({name: fill(row) for name, fill in fills.items()}, quote_via=quote)


def compile_json(value: Any, columns: Columns) -> Callable[[Row], bytes]:
    """Compile a JSON body; a text that is one reference and nothing else keeps the value's type."""
    fill = _compile_json(value, columns)
    return lambda row: _json.encode(fill(row))


def _compile_json(value: Any, columns: Columns) -> Callable[[Row], Any]:
    if isinstance(value, Template):
        if len(value.parts) == 1 and isinstance(value.parts[0], Reference):
            name = value.parts[0].name
            position = columns[name]
            return lambda row: to_json(row[position], name)
        return compile_text(value, columns)
    if isinstance(value, Mapping):
        items = {key: _compile_json(item, columns) for key, item in value.items()}
        return lambda row: {key: fill(row) for key, fill in items.items()}
    if isinstance(value, list):
        fills = [_compile_json(item, columns) for item in value]
        return lambda row: [fill(row) for fill in fills]
    return lambda _: value


def _compile(
    parts: Sequence[str | Reference],
    columns: Columns,
    write_literal: Callable[[str], str],
    write_value: Callable[[str], str],
) -> Render:
    pieces: list[Callable[[Row], str]] = []
    for part in parts:
        if isinstance(part, Reference):
            pieces.append(_value(columns[part.name], part.name, write_value))
        else:
            pieces.append(_constant(write_literal(part)))
    if len(pieces) == 1:
        return pieces[0]
    return lambda row: "".join([piece(row) for piece in pieces])


def _value(position: int, name: str, write: Callable[[str], str]) -> Render:
    return lambda row: write(to_text(row[position], name))


def _constant(text: str) -> Render:
    return lambda _: text
