"""What Airflow learns about the provider."""

from __future__ import annotations

import importlib
import json
import pydoc
import subprocess
import sys
from importlib.metadata import entry_points, version
from pathlib import Path

import airflow
import jsonschema

from http_enrich_provider import get_provider_info
from http_enrich_provider.hooks import HttpEnrichHook

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
    info = get_provider_info()
    modules = [
        name for kind in ("operators", "hooks") for group in info[kind] for name in group["python-modules"]
    ]

    assert [importlib.import_module(name).__name__ for name in modules] == modules


def test_every_named_class_exists() -> None:
    info = get_provider_info()
    paths = [*info["extra-links"], *(each["hook-class-name"] for each in info["connection-types"])]

    assert [pydoc.locate(path).__name__ for path in paths] == [path.rpartition(".")[2] for path in paths]  # type: ignore[attr-defined]


def test_airflow_lists_the_provider() -> None:
    command = [sys.executable, "-m", "airflow", "providers", "get", NAME, "--full", "-o", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)

    ((shown,),) = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[{")]
    assert shown["package-name"] == NAME
    assert shown["versions"] == [version(NAME)]
    assert {"operators", "hooks", "connection-types", "extra-links", "config"} <= shown.keys()


def test_form_and_hook_agree_on_the_type() -> None:
    (declared,) = get_provider_info()["connection-types"]

    assert (declared["connection-type"], declared["hook-name"]) == (
        HttpEnrichHook.conn_type,
        HttpEnrichHook.hook_name,
    )


def test_loading_the_plugin_is_light() -> None:
    """Every Airflow process loads it, and only the API server shows a page."""
    code = (
        "import sys, http_enrich_provider.ui.plugin\n"
        "print([m for m in ('fastapi', 'plotly', 'pyspark', 'aiohttp') if m in sys.modules])"
    )

    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert result.stdout.strip() == "[]"
