"""A task in a process of its own, with the signals and the timeout of Airflow's task runner."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

from tests.support.application import ROOT, members

SECONDS = 900
"""More than any task of the tests takes on a busy machine."""


class TaskProcess:
    """A running task; its session has all that it has started."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self.process, self._log = process, log

    @property
    def session(self) -> list[int]:
        """The living processes of the task."""
        return members(self.process.pid)

    @property
    def ended(self) -> bool:
        """Whether the task has come to its end."""
        return self.process.poll() is not None

    @property
    def output(self) -> str:
        """What it has said."""
        return self._log.read_text()

    def outcome(self) -> dict[str, Any]:
        """Wait for its end; returns its result, or `error` and `message`."""
        self.process.wait(timeout=SECONDS)
        line = next(each for each in reversed(self.output.splitlines()) if each.startswith("OUTCOME "))
        found: dict[str, Any] = json.loads(line.removeprefix("OUTCOME "))
        return found


@contextmanager
def task_process(folder: Path, name: str, pipeline: Mapping[str, Any], master: str) -> Iterator[TaskProcess]:
    """Start a task called *name* for *pipeline* on *master*; nothing of it is left after the block."""
    file, log = folder / f"{name}.json", folder / f"{name}.log"
    file.write_text(json.dumps(pipeline))
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "AIRFLOW_CONN_SPARK_DEFAULT": json.dumps({"conn_type": "spark", "host": master}),
    }
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.task_process", str(file)],
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment,
            cwd=folder,
            start_new_session=True,
        )
    try:
        yield TaskProcess(process, log)
    finally:
        for pid in members(process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait(timeout=10)


def main(file: str) -> None:
    """Execute a task for the pipeline in *file*, and print how it ended."""
    from airflow.providers.common.compat.sdk import AirflowTaskTimeout, timeout

    from http_enrich_provider.operators import HttpEnrichSparkOperator

    pipeline = json.loads(Path(file).read_text())
    conf = {"spark.ui.enabled": "false", "spark.driver.host": "127.0.0.1", "spark.driver.memory": "600m"}
    task = HttpEnrichSparkOperator(
        task_id="enrich", pipeline=pipeline, conf=conf, execution_timeout=timedelta(hours=1)
    )
    signal.signal(signal.SIGTERM, lambda *_: task.on_kill())
    try:
        with timeout(3600):  # type: ignore[no-untyped-call]
            outcome = task.execute({"run_id": "r1"})
    except AirflowTaskTimeout as error:
        task.on_kill()
        outcome = {"error": type(error).__name__, "message": str(error)}
    except Exception as error:  # noqa: BLE001 - told to the test
        outcome = {"error": type(error).__name__, "message": str(error)}
    print("OUTCOME", json.dumps(outcome), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
