"""What the submitter hands to the driver, and what it gets back, as JSON."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec

from .config import Recipe

CONNECTIONS = "http-enrich-connections.json"
"""The file with the connections of a driver that does not inherit the submitter's environment."""


class Submission(Recipe):
    """
    A pipeline with the values for its placeholders, and where to report.

    `report` is the file for the driver's `Report`. For a driver on another machine (`remote`) it is the
    folder of the run, for an `outcome_file`; that driver finds its connections beside itself. `fresh` names
    tries that begin anew together: no answer of any other try counts.
    """

    report: str
    fresh: str = ""
    remote: bool = False

    @property
    def recipe(self) -> Recipe:
        """All of it that is the same for each try of the run."""
        return Recipe(self.name, self.pipeline, self.variables, self.run)

    def write(self, file: Path) -> None:
        """Write to *file*, readable by its owner only."""
        write_privately(file, msgspec.json.encode(self))

    @classmethod
    def read(cls, file: Path) -> Submission:
        """Read what `write` wrote."""
        return msgspec.json.decode(file.read_bytes(), type=cls)


class Report(msgspec.Struct):
    """
    How the run ended: its figures, or why there are none, and whether another try could help.

    `kind` is a word for the error, as that of `driver.RunError`, or `pipeline` if it cannot be loaded.
    `report` is the whole `driver.Report`, if the run has come that far.
    """

    summary: dict[str, Any] | None = None
    error: str | None = None
    retry: bool = False
    kind: str | None = None
    report: dict[str, Any] | None = None

    def write(self, file: Path) -> None:
        """Write to *file*."""
        file.write_bytes(self.encode())

    def encode(self) -> bytes:
        """Return it as JSON."""
        return msgspec.json.encode(self)

    @classmethod
    def read(cls, file: Path) -> Report:
        """Read what `write` wrote."""
        return cls.decode(file.read_bytes())

    @classmethod
    def decode(cls, text: bytes) -> Report:
        """Read what `encode` has returned; raises `msgspec.DecodeError`."""
        return msgspec.json.decode(text, type=cls)


def outcome_file(folder: str, application: str) -> str:
    """Return where the driver of Spark's *application* leaves its `Report`, in the *folder* of its run."""
    return f"{folder}/outcome-{application}.json"


def write_privately(file: Path, content: bytes) -> None:
    """Write a new *file* that only its owner can read."""
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
        stream.write(content)
