"""Says which runs are tries of the same thing, and which settings make another thing of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from pydantic import BaseModel

from http_enrich_transport import PrivateText, SecretText

from ._interpolate import RunInfo
from ._pipeline import PipelineConfig
from ._template import Template

_SECRET = "***"  # noqa: S105 - what stands for one: another password does not make another run


@dataclass(frozen=True)
class RunKey:
    """
    What a run is a run of: a pipeline, a window, and the settings that change an answer.

    Tries with equal keys go on where the last one has ended. `settings` are plain values without
    secrets, as they stand in the ledger.
    """

    name: str
    scope: str
    """The data window, or the run's own id where it has none, and the variables that the sinks name."""
    settings: dict[str, Any]

    @classmethod
    def of(cls, config: PipelineConfig, run: RunInfo, *, only: Sequence[str] = ()) -> RunKey:
        """Return the key of *config* in *run*, or of a redrive of its rows with *only* those outcomes."""
        settings = {
            "source": plain(config.source),
            "endpoint": plain(config.endpoint),
            "middleware": [plain(each) for each in config.middleware if each.changes_answers],
            # Columns are read from kept bodies when the table is published, so the schema may still change.
            "response": {"body": config.keeps_bodies, "headers": config.response.headers},
        }
        if only:
            settings["only"] = sorted(only)
        return cls(config.name, f"{run.window or f'run {run.id}'} {config.apart}".rstrip(), settings)

    @property
    def folder(self) -> str:
        """A name for the folder of all runs of this pipeline and window, readable and safe in a path."""
        readable = re.sub(r"[^A-Za-z0-9]+", "-", self.scope.replace(":", "")).strip("-")[:48]
        return f"{self.name}-{readable}-{sha256(self.scope.encode()).hexdigest()[:8]}"

    @property
    def digest(self) -> str:
        """64 hexadecimal digits that differ when the settings do."""
        return sha256(json.dumps(self.settings, sort_keys=True).encode()).hexdigest()

    def changes(self, settings: Mapping[str, Any]) -> list[str]:
        """Return where *settings*, of another key, differ from these, such as `endpoint.params.lang`."""
        return differences(settings, self.settings)


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Return where *old* and *new*, plain values both, differ, such as `endpoint.params.lang`."""
    return sorted(set(_differences(old, new)))


def plain(value: Any) -> Any:
    """Return *value* as JSON can hold it: without secrets, and without what has its default."""
    if isinstance(value, SecretText):
        return _SECRET
    if isinstance(value, Template):
        return _template(value)
    if isinstance(value, BaseModel):
        fields = type(value).model_fields
        given = {name: getattr(value, name) for name in fields}
        kept = {name: each for name, each in given.items() if each != fields[name].default or name == "type"}
        return {name.rstrip("_"): plain(each) for name, each in kept.items()}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted(map(str, value))
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def _template(value: Template) -> str:
    words = [each.get_secret_value() for each in value.parts if isinstance(each, PrivateText)]
    # A country from a connection changes the answer; what it is stays untold.
    mark = f" {sha256(json.dumps(words).encode()).hexdigest()[:8]}" if words else ""
    # As it was written, so that a literal `${` is not taken for a placeholder.
    return (repr(value) if value.columns else repr(value).replace("${", "$${")) + mark


def _differences(old: Any, new: Any, path: str = "") -> Iterator[str]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in {*old, *new}:
            yield from _differences(old.get(key), new.get(key), f"{path}.{key}" if path else str(key))
    elif old != new:
        yield path
