"""Spark's classes, parsed already: with them, a run of seconds takes a fifth less CPU of Java."""

from __future__ import annotations

import os
from functools import cache
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[2]
ARCHIVE = ROOT / "build" / f"spark-{version('pyspark')}.jsa"

QUICK = " ".join(
    [
        "-XX:TieredStopAtLevel=1 -XX:CICompilerCount=1 -XX:+UseSerialGC -XX:-UsePerfData -Xlog:disable",
        "-XX:+UnlockDiagnosticVMOptions -XX:-BytecodeVerificationRemote -XX:ArchiveRelocationMode=0",
    ]
)
"""
For whoever lives for seconds: the second compiler would cost as much as all the rest.

Classes of a pinned package need no check of their bytes, and the archive may lie where it was made for.

A log of Java's own would go to where scripts of Spark read what they are told.
"""

OPTIONS = f"{QUICK} -XX:SharedArchiveFile={ARCHIVE}"
"""A Java that finds no archive there, or that of another one, does without."""


@cache
def ensure() -> None:
    """Make the archive, with a small run, unless it is there."""
    if not ARCHIVE.exists():
        ARCHIVE.parent.mkdir(exist_ok=True)
        with TemporaryDirectory() as folder:
            _make(Path(folder))


def _make(folder: Path) -> None:
    # They use what is above.
    from tests.support.application import left_behind
    from tests.support.driver_process import driver
    from tests.support.recording_api import recording_api
    from tests.support.small_runs import LOCAL, pipeline

    draft = ARCHIVE.with_suffix(f".{os.getpid()}")
    settings = {"spark.driver.extraJavaOptions": f"-XX:ArchiveClassesAtExit={draft}"}
    with recording_api(folder) as api:
        data = pipeline(folder, api.url, rows=20)
        with driver(folder, data, LOCAL, settings=settings, java=QUICK) as run:
            run.wait()
            left_behind(run.process.pid, seconds=300)  # Java writes it when Python has ended
    if draft.exists():
        draft.rename(ARCHIVE)
