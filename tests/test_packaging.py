"""The shape of the project and of what it installs."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from importlib.metadata import distributions, version
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PINS = dict(re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.M))
OURS = "airflow-provider-http-enrich-spark"


@pytest.mark.parametrize("folder", ["provider", "spark_app", "transport", "middleware", "demo"])
def test_each_root_folder_holds_one_prefixed_package(folder: str) -> None:
    packages = [path.parent.name for path in (ROOT / folder).glob("*/__init__.py")]

    assert len(packages) == 1
    assert packages[0].startswith("http_enrich_")
    assert not (ROOT / folder / "__init__.py").exists()


def test_pyspark_and_its_client_have_the_same_version() -> None:
    """They share 366 files: with two versions, whichever was installed last wins."""
    assert version("pyspark") == version("pyspark-client")


def test_everything_installed_is_pinned_at_its_version() -> None:
    installed = {_normal(each.metadata["Name"]): each.version for each in distributions()}
    pinned = {_normal(name): pin for name, pin in PINS.items()} | {OURS: version(OURS)}

    assert {name: found for name, found in installed.items() if pinned.get(name) != found} == {}


def test_constraints_hold_names_and_versions_only() -> None:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]

    assert [line for line in lines if not re.fullmatch(r"[a-z0-9._-]+==[\w.+!]+", line)] == []


def test_wheel_holds_our_four_packages_and_nothing_else(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)

    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert tops == {
        "http_enrich_provider",
        "http_enrich_spark",
        "http_enrich_middleware",
        "http_enrich_transport",
    }
    assert "http_enrich_spark/launch/main.py" in names
    ui = ROOT / "provider" / "http_enrich_provider" / "ui"
    pages = [path for folder in ("templates", "static") for path in (ui / folder).iterdir()]
    assert {path.relative_to(ROOT / "provider").as_posix() for path in pages} <= set(names)
    assert {f"{top}/py.typed" for top in tops} <= set(names)


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
