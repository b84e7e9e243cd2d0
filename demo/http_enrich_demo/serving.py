"""A complete Airflow with its web pages, for as long as it is needed."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NoReturn

from http_enrich_demo.processes import running, tail
from http_enrich_demo.rest import AirflowRest
from http_enrich_demo.run_dag import prepare_database
from http_enrich_demo.services import ServiceError, get_json

PARTS = {
    "api-server": "metadatabase",
    "scheduler": "scheduler",
    "dag-processor": "dag_processor",
    "triggerer": "triggerer",
}
"""Airflow's programs, and the names under which it reports how they are."""

POOLS = {"airports_api": 2}
"""What the example DAGs need besides connections, which come from the environment."""

_USER = "admin"
_START_SECONDS = 300.0


class Airflow:
    """A running Airflow: its REST API, and the programs it consists of."""

    def __init__(self, rest: AirflowRest, processes: Sequence[subprocess.Popen[bytes]], log: Path) -> None:
        self.rest, self._processes, self._log = rest, processes, log

    def wait(self) -> NoReturn:
        """Wait until one of the programs ends by itself, and raise `ServiceError`."""
        while all(process.poll() is None for process in self._processes):
            time.sleep(0.5)
        raise ServiceError(f"Airflow ended by itself. The end of {self._log}:\n\n{tail(self._log)}")


@contextmanager
def serving(env: Mapping[str, str], log: Path, parts: Sequence[str] = tuple(PARTS)) -> Iterator[Airflow]:
    """
    Run Airflow's *parts* in the environment *env*, and yield it once all are healthy.

    None of their processes is left after the block. Raises `ServiceError` when one does not start.
    """
    prepare_database(env, log)
    with ExitStack() as stack:
        processes = [
            stack.enter_context(running([sys.executable, "-m", "airflow", part], env, log)) for part in parts
        ]
        _wait_until_healthy(processes, env["AIRFLOW__API__BASE_URL"], log, parts)
        rest = AirflowRest(env["AIRFLOW__API__BASE_URL"], _USER, _password(Path(env["AIRFLOW_HOME"])))
        for name, slots in POOLS.items():
            rest.ensure_pool(name, slots)
        yield Airflow(rest, processes, log)


def is_healthy(url: str, parts: Sequence[str] = tuple(PARTS)) -> bool:
    """Tell whether Airflow answers and all its *parts* are healthy."""
    try:
        health = get_json(f"{url}/api/v2/monitor/health")
    except OSError:
        return False
    return all((health.get(PARTS[part]) or {}).get("status") == "healthy" for part in parts)


def _wait_until_healthy(
    processes: Sequence[subprocess.Popen[bytes]], url: str, log: Path, parts: Sequence[str]
) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not is_healthy(url, parts):
        ended = any(process.poll() is not None for process in processes)
        if ended or time.monotonic() > deadline:
            raise ServiceError(f"Airflow did not start. The end of {log}:\n\n{tail(log)}")
        time.sleep(0.5)


def _password(home: Path) -> str:
    """Return the password that Airflow has made up for its one user."""
    passwords: dict[str, str] = json.loads(
        (home / "simple_auth_manager_passwords.json.generated").read_text()
    )
    return passwords[_USER]
