"""Fills the placeholders that are known before the first row."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path as FilePath
from typing import Any

from http_enrich_transport import PrivateText, SecretText, did_you_mean

from . import _connections
from ._problems import Path, Problem
from ._references import Reference, references, rewrite, split, walk
from ._template import Template, as_text
from ._yaml import Document

_ROW_FIELDS = ("path", "params", "headers", "json", "form", "body")
"""The keys of `endpoint:` whose texts may hold `${row.column}`."""

_SECRET_FIELD = re.compile(r"passw|passphrase|secret|token|key|auth", re.IGNORECASE)
"""Names of parameters and of parts of a body under which an API expects a secret."""


@dataclass(frozen=True)
class RunInfo:
    """
    One run: its id and its data window, as `${run.…}` gives them.

    `window_start` and `window_end` are ISO 8601 texts, the end excluded. A partition may have a start only.
    `no_window` says why there is no window where one would be expected.
    """

    id: str = "manual"
    window_start: str | None = None
    window_end: str | None = None
    partition_key: str | None = None
    no_window: str | None = None

    @property
    def window(self) -> str:
        """The data window as one text: the same for every run of that window, empty where there is none."""
        if self.window_start and self.window_end:
            return f"{self.window_start}/{self.window_end}"
        return self.partition_key or self.window_start or ""

    def value(self, name: str) -> str:
        """Return `${run.name}`; raises `ValueError` where this run has none."""
        if name == "id":
            return self.id
        if name == "partition_key":
            return self._given(self.partition_key, "partition_key", "CronPartitionTimetable")
        if self.no_window is not None:
            raise ValueError(self.no_window)
        start = self._given(self.window_start, "data window", "CronDataIntervalTimetable")
        if name == "window_end" or self.window_end is not None:
            end = self._given(self.window_end, "end of its window", "CronDataIntervalTimetable")
            if datetime.fromisoformat(start) >= datetime.fromisoformat(end):
                msg = (
                    f"the data window from {start} to {end} is empty: a cron string gives no other; "
                    f"schedule the DAG with CronDataIntervalTimetable, or {_GIVE_ONE}"
                )
                raise ValueError(msg)
        return {"window_start": start, "window_end": self.window_end or "", "date": start[:10]}[name]

    @staticmethod
    def _given(value: str | None, what: str, timetable: str) -> str:
        if value is None:
            how = "give it a --partition-key" if what == "partition_key" else _GIVE_ONE
            msg = f"this run has no {what}; schedule the DAG with {timetable}, or {how}"
            raise ValueError(msg)
        return value


_GIVE_ONE = (
    "give the operator a window such as '2026-01-01' (--window-start and --window-end without Airflow)"
)


@dataclass(frozen=True)
class Scope:
    """Where placeholders find their values."""

    variables: Mapping[str, Any]
    run: RunInfo
    environ: Mapping[str, str] = field(repr=False)

    def resolve(self, reference: Reference, path: Path) -> Any:
        """Return the value of *reference* at *path*, secret if it must not be seen; raises `ValueError`."""
        resolvers: dict[str, Callable[[str], Any]] = {
            "var": self._variable,
            "env": self._env,
            "run": self.run.value,
            "conn": lambda name: _connections.lookup(name, self.environ),
            "file": _file,
        }
        value = resolvers[reference.namespace](reference.name)
        return _kind(reference, path)(value) if _is_secret(reference, path) else value

    def _variable(self, name: str) -> Any:
        if name not in self.variables:
            raise ValueError(unknown_variable(name, self.variables))
        return self.variables[name]

    def _env(self, name: str) -> str:
        if name not in self.environ:
            msg = f"the environment variable {name} is not set"
            raise ValueError(msg)
        return self.environ[name]


def _file(name: str) -> str:
    try:
        return FilePath(name).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        msg = f"the secret file {name} cannot be read: {type(error).__name__}"
        raise ValueError(msg) from None


def unknown_variable(name: str, variables: Mapping[str, Any]) -> str:
    """Say that there is no variable *name*, and which there are."""
    hint = did_you_mean(name, variables, f"given: {', '.join(sorted(variables)) or 'none'}")
    return f"no variable {name!r}; {hint}"


def row_allowed(path: Path) -> bool:
    """Say whether the text at *path* may hold `${row.column}`."""
    return len(path) > 1 and path[0] == "endpoint" and path[1] in _ROW_FIELDS


def interpolate(document: Document, scope: Scope) -> tuple[Any, list[Problem]]:
    """Return the values of *document* with all but `${row.…}` filled in, and what went wrong."""
    problems: list[Problem] = []

    def fill(value: Any, path: Path) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return _fill_text(value, path, scope)
        except ValueError as error:
            problems.append(document.problem(path, str(error)))
            return value

    return rewrite(document.data, fill), problems


def with_secrets(data: Any) -> Any:
    """Put a secret wherever one will come to stand, so that a place that shows it can be refused early."""
    return rewrite(data, _as_secret)


def _as_secret(value: Any, path: Path) -> Any:
    if not isinstance(value, str) or _sent(path):
        return value
    return SecretText(value) if any(_is_secret(each, path) for each in _readable(value)) else value


def secret_values(document: Document, environ: Mapping[str, str]) -> set[str]:
    """Return every secret that *document* refers to, for whoever has to hide them; raises `ValueError`."""
    scope = Scope({}, RunInfo(), environ)
    found = ((each, path) for path, text in walk(document.data) for each in _readable(text))
    values = (scope.resolve(each, path) for each, path in found if _is_secret(each, path))
    return {value.get_secret_value() for value in values}


def _readable(text: str) -> list[Reference]:
    try:
        return references(text)
    except ValueError:
        return []  # complained about where all texts are checked


def _is_secret(reference: Reference, path: Path) -> bool:
    if reference.namespace == "conn":
        return _connections.is_secret(reference.name.partition(".")[2])
    return reference.namespace == "file" or (reference.namespace == "env" and _looks_secret(path))


def _kind(reference: Reference, path: Path) -> type[SecretText]:
    """Return what the secret of *reference* is: one that opens something, or a word that says who we are."""
    field = reference.name.rpartition(".")[2]
    named = any(_SECRET_FIELD.search(str(name)) for name in (field, *path[-1:]))
    return SecretText if reference.namespace != "conn" or named or _looks_secret(path) else PrivateText


def _sent(path: Path) -> bool:
    """Say whether the text at *path* is sent and not shown, so that it may be a secret."""
    return row_allowed(path) and path[1] != "path"


def _looks_secret(path: Path) -> bool:
    # Not all that is sent: a secret is taken out of answers too, where a country would leave a hole.
    return _sent(path) and (path[1] == "headers" or bool(_SECRET_FIELD.search(str(path[-1]))))


def _fill_text(text: str, path: Path, scope: Scope) -> Any:
    """Fill the text at *path*; one that is a placeholder and nothing else keeps the value's type."""
    template = row_allowed(path)
    parts = [
        part if isinstance(part, str) or part.namespace == "row" else scope.resolve(part, path)
        for part in split(text)
    ]
    if len(parts) == 1 and not isinstance(parts[0], str | SecretText | Reference):
        return _literal(parts[0]) if template else parts[0]
    written = [part if isinstance(part, Reference | SecretText) else as_text(part) for part in parts]
    return Template(*written) if template else _joined(written)


def _joined(parts: Sequence[Any]) -> str | SecretText:
    """Return *parts* as one text, as secret as the most secret of them."""
    kinds = {type(part) for part in parts if isinstance(part, SecretText)}
    text = "".join(part.get_secret_value() if isinstance(part, SecretText) else str(part) for part in parts)
    if not kinds:
        return text
    return SecretText(text) if SecretText in kinds else PrivateText(text)


def _literal(value: Any) -> Any:
    """Keep the texts of a structure that came in from outside from being read as templates."""
    return rewrite(value, lambda leaf, _: Template(leaf) if isinstance(leaf, str) else leaf)
