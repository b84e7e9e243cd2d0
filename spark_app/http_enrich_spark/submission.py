"""What the submitter hands to the driver, as one JSON file. Holds references to secrets, never secrets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from .config import Recipe


class Submission(Recipe):
    """A pipeline with the values for its placeholders, and where to report."""

    report: str

    @property
    def recipe(self) -> Recipe:
        """All of it but the place of the report, which is of this machine."""
        return Recipe(self.name, self.pipeline, self.variables, self.run)

    def write(self, file: Path) -> None:
        """Write to *file*, readable by its owner only."""
        file.touch(mode=0o600, exist_ok=False)
        file.write_bytes(msgspec.json.encode(self))

    @classmethod
    def read(cls, file: Path) -> Submission:
        """Read what `write` wrote."""
        return msgspec.json.decode(file.read_bytes(), type=cls)


class Report(msgspec.Struct):
    """How the run ended: its figures, or why there are none, and whether another try could help."""

    summary: dict[str, Any] | None = None
    error: str | None = None
    retry: bool = False

    def write(self, file: Path) -> None:
        """Write to *file*."""
        file.write_bytes(msgspec.json.encode(self))

    @classmethod
    def read(cls, file: Path) -> Report:
        """Read what `write` wrote."""
        return msgspec.json.decode(file.read_bytes(), type=cls)
