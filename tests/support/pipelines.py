"""Small correct pipelines to change one thing of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from http_enrich_spark.config import EndpointConfig, PipelineConfig, Reference, Template, load_pipeline

TEXT = """\
version: 1
name: airports
source:
  path: data/airports
  id: [icao]
endpoint:
  base_url: https://api.test
  path: /v1/${row.icao}
sink:
  path: out/airports
"""


def pipeline(changes: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return a correct pipeline with *changes*, whose keys are dotted paths; `None` takes a key away."""
    values: dict[str, Any] = {
        "version": 1,
        "name": "airports",
        "source": {"path": "data/airports", "id": ["icao"]},
        "endpoint": {"base_url": "https://api.test", "path": "/v1/${row.icao}"},
        "sink": {"path": "out/airports"},
    }
    for path, value in (changes or {}).items():
        *parents, key = path.split(".")
        block = values
        for parent in parents:
            block = block.setdefault(parent, {})
        if value is None:
            block.pop(key, None)
        else:
            block[key] = value
    return values


def load(
    changes: Mapping[str, Any], environ: Mapping[str, str] | None = None, **options: Any
) -> PipelineConfig:
    """Load `pipeline(changes)` in the environment *environ* alone."""
    return load_pipeline(pipeline(changes), environ=environ or {}, **options)


def endpoint(
    changes: Mapping[str, Any], environ: Mapping[str, str] | None = None, **options: Any
) -> EndpointConfig:
    """Return the endpoint of a pipeline with *changes* below `endpoint:`."""
    return load({f"endpoint.{key}": value for key, value in changes.items()}, environ, **options).endpoint


def written(template: Any) -> str:
    """Return what *template* says, secret or not, with its references as they are written."""
    assert isinstance(template, Template)
    return "".join(part.text if isinstance(part, Reference) else part for part in template.revealed)
