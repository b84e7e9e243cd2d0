"""Where the fault tests run, and what they do to it."""

from __future__ import annotations

import json
import os
import random
import signal
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPException
from typing import Any, NamedTuple
from urllib.error import HTTPError
from urllib.request import urlopen

from http_enrich_demo.processes import free_ports
from tests.support import spark_cluster
from tests.support.driver_process import EXECUTOR, WORKER, Driver
from tests.support.small_runs import LOCAL, SLOTS


class Place(NamedTuple):
    """A Spark master with its settings, and the names of the faults that can happen there."""

    master: str
    settings: dict[str, str]
    faults: tuple[str, ...]
    cluster: spark_cluster.Cluster | None = None

    def processes(self, run: Driver, program: str) -> list[int]:
        """Return the processes of *run* and of the cluster whose command line has *program*."""
        others = self.cluster.processes(program) if self.cluster else []
        return [*run.processes(program), *others]


Fault = Callable[[Driver, Place, random.Random], bool]
"""Does some harm, and returns whether there was anything to harm."""

_ANYWHERE = ("worker", "driver", "cancel", "job")
_KINDS = ("local", "local-cluster", "local", "standalone")


def place(seed: int, cluster: Callable[[], spark_cluster.Cluster]) -> Place:
    """Return the place that belongs to *seed*; a *cluster* is only asked for by those that need one."""
    kind, memory = _KINDS[seed % len(_KINDS)], {"spark.executor.memory": "500m"}
    if kind == "local":
        # Twice as fast to start as any other.
        return Place(LOCAL, {}, _ANYWHERE)
    if kind == "local-cluster":
        return Place(f"local-cluster[{SLOTS},1,600]", memory, (*_ANYWHERE, "executor", "executor"))
    found = cluster()
    return Place(found.url, memory, (*_ANYWHERE, "executor", "machine", "machine"), found)


def web_pages() -> dict[str, str]:
    """Return the settings of a run whose jobs can be cancelled by `FAULTS["job"]`."""
    return {"spark.ui.enabled": "true", "spark.ui.port": str(free_ports(1)[0])}


def _kill_one(program: str) -> Fault:
    def fault(run: Driver, place: Place, chance: random.Random) -> bool:
        # Of Python's, Spark's daemon is the first: the workers are its children.
        found = place.processes(run, program)
        if found:
            with suppress(ProcessLookupError):
                os.kill(chance.choice(found), signal.SIGKILL)
        return bool(found)

    return fault


def _kill_driver(run: Driver, _: Place, __: random.Random) -> bool:
    run.kill()
    return True


def _cancel(run: Driver, _: Place, chance: random.Random) -> bool:
    run.process.send_signal(chance.choice([signal.SIGINT, signal.SIGTERM]))
    with suppress(Exception):
        run.process.wait(timeout=30)
    run.kill()
    return True


def _cancel_job(_: Driver, place: Place, __: random.Random) -> bool:
    """Cancel what is running as a person does, on Spark's web pages."""
    pages = f"http://127.0.0.1:{place.settings['spark.ui.port']}"
    applications = f"{pages}/api/v1/applications"
    jobs: list[Any] = []
    try:
        application = _read(applications)[0]["id"]
        jobs = _read(f"{applications}/{application}/jobs?status=running")
        for job in jobs:
            urlopen(f"{pages}/jobs/job/kill/?id={job['jobId']}", data=b"", timeout=30).close()
    except HTTPError as error:
        error.close()
    except (OSError, HTTPException, ValueError):
        pass  # the run has ended meanwhile, perhaps by this, and its pages with it
    return bool(jobs)


def _read(url: str) -> Any:
    with urlopen(url, timeout=30) as answer:
        return json.load(answer)


FAULTS: dict[str, Fault] = {
    "worker": _kill_one(WORKER),
    "executor": _kill_one(EXECUTOR),
    "machine": _kill_one(spark_cluster.WORKER),
    "driver": _kill_driver,
    "cancel": _cancel,
    "job": _cancel_job,
}
