"""A text with gaps that rows will fill."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from http_enrich_transport import SecretText

from ._references import Reference, rewrite, split

Part = str | SecretText | Reference


class Template:
    """
    Literal texts, secrets and references to columns, in order.

    A template is kept as parts, never as a text to be read again: whatever a
    variable, a secret or a connection brought along stays literal. Its secrets show as `***`.
    """

    __slots__ = ("parts",)

    def __init__(self, *parts: Part) -> None:
        self.parts = _merged(parts)

    @property
    def secret(self) -> bool:
        """Whether there is a secret in it."""
        return any(isinstance(part, SecretText) for part in self.parts)

    @property
    def written_down(self) -> bool:
        """Whether all of it stands in the pipeline: nothing was, or is to be, filled in."""
        return bool(self.parts) and all(isinstance(part, str) for part in self.parts)

    @property
    def revealed(self) -> tuple[str | Reference, ...]:
        """The parts with secrets as they are, for whoever sends them."""
        parts = [part.get_secret_value() if isinstance(part, SecretText) else part for part in self.parts]
        return tuple(part for part in _merged(parts) if not isinstance(part, SecretText))

    @property
    def columns(self) -> list[str]:
        """The columns that fill the gaps."""
        return [part.name for part in self.parts if isinstance(part, Reference)]

    @property
    def literal(self) -> str | None:
        """The whole text where nothing is left to fill in."""
        if self.columns:
            return None
        return "".join(part for part in self.revealed if isinstance(part, str))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Template) and self.parts == other.parts

    def __hash__(self) -> int:
        return hash(self.parts)

    def __repr__(self) -> str:
        return "".join(part.text if isinstance(part, Reference) else str(part) for part in self.parts)

    def __reduce__(self) -> tuple[Callable[..., Template], tuple[Part, ...]]:
        return Template, self.parts

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            as_template, serialization=core_schema.to_string_ser_schema()
        )


def as_template(value: Any) -> Template:
    """Take a text or a number; lists and mappings have no one way to be written into a URL or header."""
    if isinstance(value, Template):
        return value
    if isinstance(value, SecretText):
        return Template(value)
    if isinstance(value, str):
        return Template(*split(value))
    if isinstance(value, bool | int | float):
        return Template(as_text(value))
    msg = "expected a text or a number"
    raise ValueError(msg)


def as_json_template(value: Any) -> Any:
    """Turn every text below *value* into a template."""
    return rewrite(value, lambda leaf, _: as_template(leaf) if isinstance(leaf, str | SecretText) else leaf)


def as_text(value: Any) -> str:
    """Write a plain value as YAML and JSON do: `true`, not `True`; raises `ValueError` for null."""
    if value is None:
        msg = "a null cannot be a part of a text"
        raise ValueError(msg)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _merged(parts: Iterable[Part]) -> tuple[Part, ...]:
    """Join neighbouring literals."""
    merged: list[Part] = []
    for part in parts:
        if isinstance(part, str) and merged and isinstance(merged[-1], str):
            merged[-1] += part
        elif part != "":
            merged.append(part)
    return tuple(merged)
