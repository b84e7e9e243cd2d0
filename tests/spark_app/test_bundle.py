"""The archive that carries our code to the executors."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from http_enrich_spark.bundle import application, build_py_files, package_folder

SHIPPED = ("http_enrich_transport", "http_enrich_middleware", "http_enrich_spark")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_py_files(tmp_path_factory.mktemp("bundle") / "http_enrich.zip")


def test_equal_sources_give_equal_bytes(bundle: Path, tmp_path: Path) -> None:
    """Spark and object stores compare archives by their content."""
    again = build_py_files(tmp_path / "again.zip")

    assert again.read_bytes() == bundle.read_bytes()


def test_the_time_of_a_build_leaves_no_trace(bundle: Path) -> None:
    entries = zipfile.ZipFile(bundle).infolist()

    assert {entry.date_time for entry in entries} == {(1980, 1, 1, 0, 0, 0)}


def test_it_holds_every_module_of_the_packages_and_nothing_else(bundle: Path) -> None:
    names = zipfile.ZipFile(bundle).namelist()
    folders = {package: package_folder(package) for package in SHIPPED}

    assert sorted(names) == sorted(
        f"{package}/{file.relative_to(folder).as_posix()}"
        for package, folder in folders.items()
        for file in folder.rglob("*.py")
    )
    assert not [name for name in names if "__pycache__" in name or "tests" in name or name.startswith("/")]


def test_an_older_archive_is_replaced(bundle: Path, tmp_path: Path) -> None:
    target = tmp_path / "old.zip"
    target.write_bytes(b"x" * 1_000_000)

    assert build_py_files(target).read_bytes() == bundle.read_bytes()


def test_everything_in_it_can_be_imported_without_the_sources(bundle: Path) -> None:
    """As on an executor: our code comes from the archive, compiled libraries from the machine."""
    sources = sorted({str(package_folder(package).parent) for package in SHIPPED})
    code = (
        "import importlib, json, sys\n"
        "bundle, sources = sys.argv[1], json.loads(sys.argv[2])\n"
        "sys.path = [bundle, *(path for path in sys.path if path not in sources)]\n"
        "names = ['http_enrich_spark.config', 'http_enrich_spark.worker',\n"
        "         'http_enrich_middleware.traffic.retry', 'http_enrich_transport.aiohttp_engine',\n"
        "         'http_enrich_transport.memory_engine']\n"
        "print(json.dumps([importlib.import_module(name).__file__ for name in names]))"
    )
    command = [sys.executable, "-I", "-c", code, str(bundle), json.dumps(sources)]

    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=bundle.parent)

    assert {file.split(".zip" + os.sep)[0] + ".zip" for file in json.loads(done.stdout)} == {str(bundle)}


def test_the_application_is_a_script_outside_of_any_package() -> None:
    """spark-submit puts the script's folder on the path, where it must not hide our packages."""
    assert application().is_file()
    assert [each.name for each in application().parent.glob("*.py")] == ["main.py"]
