"""Runs one day of a DAG with the real Airflow, in a process of its own, and returns what it reported."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

from http_enrich_demo.processes import running, tail

DAG_ID = "airports_daily"
TASK_ID = "enrich"
_TICK_SECONDS = 0.2


class DagRunError(Exception):
    """The DAG run failed; the message holds the end of Airflow's log."""


@dataclass(frozen=True)
class DagResult:
    """What a DAG run left behind: its id, its day and the summary its task returned."""

    run_id: str
    day: date
    summary: dict[str, Any]


def yesterday() -> date:
    """Return the last day that is over in UTC, which is the newest one a daily DAG can work on."""
    return datetime.now(UTC).date() - timedelta(days=1)


def run_dag(
    env: Mapping[str, str],
    log: Path,
    *,
    day: date | None = None,
    dag_id: str = DAG_ID,
    task_id: str = TASK_ID,
    tick: Callable[[], None] = lambda: None,
) -> DagResult:
    """Run the DAG for the day, yesterday unless told, calling `tick` every moment while it runs."""
    day = day or yesterday()
    result = log.with_suffix(".result.json")
    for old in (log, result):
        old.unlink(missing_ok=True)
    prepare_database(env, log, tick)
    command = [sys.executable, "-m", "http_enrich_demo.dag_child"]
    command += ["--dags", env["AIRFLOW__CORE__DAGS_FOLDER"], "--dag-id", dag_id, "--task-id", task_id]
    command += ["--day", day.isoformat(), "--result", str(result)]
    _complete(command, env, log, tick)
    outcome = json.loads(result.read_text())
    if outcome["state"] != "success" or not isinstance(outcome["summary"], dict):
        raise _failure(f"The DAG run {outcome['run_id']} ended as {outcome['state']}", log)
    return DagResult(outcome["run_id"], day, outcome["summary"])


def prepare_database(env: Mapping[str, str], log: Path, tick: Callable[[], None] = lambda: None) -> None:
    """Create Airflow's database unless this version of Airflow has created it already."""
    home = Path(env["AIRFLOW_HOME"])
    stamp = home / "migrated-by"
    current = version("apache-airflow")
    if stamp.exists() and stamp.read_text() == current:
        return
    # Nothing in there is worth keeping, and what another version left may not work with this one.
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    _complete([sys.executable, "-m", "airflow", "db", "migrate"], env, log, tick)
    stamp.write_text(current)


def _complete(command: list[str], env: Mapping[str, str], log: Path, tick: Callable[[], None]) -> None:
    with running(command, env, log) as process:
        while _is_alive(process):
            tick()
    if process.returncode != 0:
        raise _failure(f"The program {command[2]} failed with exit code {process.returncode}", log)


def _is_alive(process: subprocess.Popen[bytes]) -> bool:
    with suppress(subprocess.TimeoutExpired):
        process.wait(_TICK_SECONDS)
    return process.returncode is None


def _failure(message: str, log: Path) -> DagRunError:
    return DagRunError(f"{message}. The end of {log}:\n\n{tail(log)}")
