"""What a pipeline is loaded from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ._interpolate import RunInfo
from ._load import load_pipeline
from ._pipeline import PipelineConfig
from ._yaml import read_document


class Recipe(msgspec.Struct):
    """
    A pipeline as its author wrote it, and the values for its placeholders.

    Holds references to secrets, never secrets, so it may be sent and kept.
    """

    name: str
    pipeline: str | dict[str, Any]
    variables: dict[str, Any]
    run: RunInfo

    def load(self, environ: Mapping[str, str] | None = None) -> PipelineConfig:
        """Return the checked pipeline with all its values; raises `PipelineError`."""
        document = read_document(self.pipeline, name=self.name)
        return load_pipeline(document, variables=self.variables, run=self.run, environ=environ)

    def located(self, message: str) -> str:
        """Return *message* with its place in the file, if it begins with a key, as in `source.id: …`."""
        key, colon, said = message.partition(": ")
        path = tuple(key.split("."))
        if not colon or not isinstance(self.pipeline, str):
            return message
        document = read_document(self.pipeline, name=self.name)
        return document.problem(path, said).at(self.name) if path[:1] in document.places else message
