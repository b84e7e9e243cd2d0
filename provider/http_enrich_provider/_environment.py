"""Lends variables to this process, from which spark-submit inherits them."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from airflow.providers.common.compat.sdk import AirflowFailException

from http_enrich_spark.bundle import python_variables


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """
    Set *variables* for the time of the block.

    A secret in the environment is seen by this user's processes only, while an
    argument or a Spark property is seen by everyone on the machine.
    """
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def require_program(name: str) -> None:
    """Raise `AirflowFailException` unless spark-submit can be found."""
    if shutil.which(name, path=_search_path()) is None:
        msg = f"{name} is not on PATH; install pyspark beside Airflow, or set spark_binary"
        raise AirflowFailException(msg)


def spark_variables() -> dict[str, str]:
    """Return what spark-submit needs to be found, and to find its Spark."""
    return {"PATH": _search_path()}


def driver_variables(master: str) -> dict[str, str]:
    """Return what spark-submit needs to start a driver here: this Python, where nobody has said otherwise."""
    return spark_variables() | python_variables(master)


def _search_path() -> str:
    beside, given = str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)
    behind = f"{given}{os.pathsep}{beside}"
    # Last on PATH: a Spark that was put there on purpose comes first. The one beside this
    # Python looks for itself by `python3`, which then has to be this one.
    ours = Path(shutil.which("spark-submit", path=behind) or "").parent == Path(beside)
    return f"{beside}{os.pathsep}{given}" if ours else behind
