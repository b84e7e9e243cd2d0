"""Lends variables to this process, from which spark-submit inherits them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """
    Set *variables* for the time of the block.

    A secret in the environment is seen by this user's processes only, while an
    argument or a Spark property is seen by everyone on the machine.
    """
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def spark_variables(master: str) -> dict[str, str]:
    """
    Return what spark-submit needs to find itself and its Python, where nobody has said otherwise.

    On a cluster the executors' Python is the cluster's affair; here it is ours.
    """
    beside = str(Path(sys.executable).parent)
    found = {
        # Last on PATH: a Spark that was put there on purpose comes first.
        "PATH": f"{os.environ.get('PATH', os.defpath)}{os.pathsep}{beside}",
        "PYSPARK_DRIVER_PYTHON": os.environ.get("PYSPARK_DRIVER_PYTHON", sys.executable),
    }
    if master.startswith("local"):
        found["PYSPARK_PYTHON"] = os.environ.get("PYSPARK_PYTHON", sys.executable)
    return found
