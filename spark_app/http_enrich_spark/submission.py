"""What the submitter hands to the driver, as one JSON file. Holds references to secrets, never secrets."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from .config import Document, PipelineConfig, RunInfo, load_pipeline, read_document


class Submission(msgspec.Struct):
    """A pipeline as its author wrote it, the values for its placeholders, and where to report."""

    name: str
    pipeline: str | dict[str, Any]
    variables: dict[str, Any]
    run: RunInfo
    report: str

    def write(self, file: Path) -> None:
        """Write to *file*, readable by its owner only."""
        file.touch(mode=0o600, exist_ok=False)
        file.write_bytes(msgspec.json.encode(self))

    @classmethod
    def read(cls, file: Path) -> Submission:
        """Read what `write` wrote."""
        return msgspec.json.decode(file.read_bytes(), type=cls)

    def load(self, environ: Mapping[str, str] | None = None) -> PipelineConfig:
        """Return the checked pipeline with all its values; raises `PipelineError`."""
        document: Document = read_document(self.pipeline, name=self.name)
        return load_pipeline(document, variables=self.variables, run=self.run, environ=environ)


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
