"""`http-enrich run` in a process of its own, which can be killed with its JVM and its executors."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tests.support.application import ROOT, command_of, members
from tests.support.spark_archive import OPTIONS

EXECUTOR = "CoarseGrainedExecutorBackend"
WORKER = "daemon pyspark.worker"
SECONDS = 300
"""More than any run of the tests takes on a busy machine."""


class Driver:
    """A running driver."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self.process, self._log = process, log

    def processes(self, program: str) -> list[int]:
        """Return its descendants whose command line has *program*."""
        return [pid for pid in members(self.process.pid) if program in command_of(pid)]

    def kill(self) -> None:
        """Kill it with everything that it has started, at once."""
        for pid in members(self.process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(timeout=10)

    @property
    def ended(self) -> bool:
        """Whether it has come to its end."""
        return self.process.poll() is not None

    def wait(self) -> int:
        """Wait for its end and return its exit status."""
        return self.process.wait(timeout=SECONDS)

    @property
    def output(self) -> str:
        """What it has said."""
        return self._log.read_text()

    @property
    def figures(self) -> dict[str, Any]:
        """The figures that it has printed."""
        text = self._log.with_suffix(".json").read_text()
        found: dict[str, Any] = json.loads(text)
        return found


@contextmanager
def driver(
    folder: Path,
    pipeline: Mapping[str, Any],
    master: str,
    *options: str,
    settings: Mapping[str, str] = MappingProxyType({}),
    java: str = OPTIONS,
) -> Iterator[Driver]:
    """
    Start `http-enrich run` for *pipeline* on *master*; nothing of it is left after the block.

    *settings* are Spark's, and *java* the options of every Java that is started.
    """
    quiet = {
        "spark.ui.enabled": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.memory": "600m",
        "spark.sql.shuffle.partitions": "2",
    }
    lines = [f"{name} {value}" for name, value in (quiet | dict(settings)).items()]
    (folder / "spark.conf").write_text("\n".join(lines))
    (folder / "pipeline.yaml").write_text(json.dumps(pipeline))
    environment = os.environ | {
        "PYSPARK_PYTHON": sys.executable,
        "PYTHONPATH": os.pathsep.join(
            str(ROOT / each) for each in ("spark_app", "middleware", "transport", ".")
        ),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "JDK_JAVA_OPTIONS": java,
        "PYSPARK_SUBMIT_ARGS": "--properties-file spark.conf pyspark-shell",
    }
    log = folder / "driver.log"
    command = [sys.executable, "-m", "http_enrich_spark.cli", "run", "pipeline.yaml", "--master", master]
    with log.open("w") as errors, log.with_suffix(".json").open("w") as figures:
        process = subprocess.Popen(
            [*command, *options],
            stdout=figures,
            stderr=errors,
            text=True,
            env=environment,
            cwd=folder,
            start_new_session=True,
        )
    started = Driver(process, log)
    try:
        yield started
    finally:
        started.kill()
