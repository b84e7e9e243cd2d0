"""What a submitter needs to start the application: our code as an archive, its script, its Python."""

from __future__ import annotations

import os
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

_SHIPPED = ("http_enrich_transport", "http_enrich_middleware", "http_enrich_spark")
_OLDEST = (1980, 1, 1, 0, 0, 0)
"""The earliest time a zip can hold; real times would make every archive differ."""


def build_py_files(target: Path) -> Path:
    """Write the `--py-files` archive to *target*; equal sources give equal bytes."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for package in _SHIPPED:
            folder = package_folder(package)
            for file in sorted(folder.rglob("*.py")):
                name = f"{package}/{file.relative_to(folder).as_posix()}"
                archive.writestr(_entry(name), file.read_bytes())
    return target


def application() -> Path:
    """Return the script that `spark-submit` starts."""
    return package_folder("http_enrich_spark") / "launch" / "main.py"


def python_variables(master: str) -> dict[str, str]:
    """
    Return which Python runs the driver and, on this machine, the workers, unless the environment says it.

    On a cluster the executors' Python is the cluster's affair; here it is ours.
    """
    names = ["PYSPARK_DRIVER_PYTHON", *(["PYSPARK_PYTHON"] if master.startswith("local") else [])]
    return {name: os.environ.get(name, sys.executable) for name in names}


def package_folder(package: str) -> Path:
    """Return where *package* is installed."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        msg = f"{package} is not installed; reinstall airflow-provider-http-enrich-spark"
        raise ModuleNotFoundError(msg)
    return Path(spec.origin).parent


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _OLDEST)
    entry.compress_type = zipfile.ZIP_DEFLATED
    return entry
