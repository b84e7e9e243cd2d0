"""What Airflow learns about the provider."""

from __future__ import annotations

import importlib
import json
from importlib.metadata import entry_points
from pathlib import Path

import airflow
import jsonschema

from http_enrich_provider import get_provider_info

NAME = "airflow-provider-http-enrich-spark"


def test_entry_point_leads_to_the_info() -> None:
    (entry,) = [
        each for each in entry_points(group="apache_airflow_provider") if each.dist and each.dist.name == NAME
    ]

    assert entry.load()() == get_provider_info()


def test_info_fits_airflows_schema() -> None:
    schema = json.loads((Path(airflow.__file__).parent / "provider_info.schema.json").read_text())

    jsonschema.validate(get_provider_info(), schema)


def test_every_named_module_exists() -> None:
    modules = [name for group in get_provider_info()["operators"] for name in group["python-modules"]]

    assert [importlib.import_module(name).__name__ for name in modules] == modules
