"""Faults of what is around a run: its settings, its API, its disk."""

from __future__ import annotations

import os
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from http_enrich_demo.processes import free_ports
from tests.support.driver_process import driver
from tests.support.recording_api import recording_api
from tests.support.small_runs import CONNECTIONS, LOCAL, RETRY, SLOTS, committed, pipeline, table, truth

DOWN_SECONDS = 20.0


# Spark takes either for true; Airflow's hook writes the second one.
@pytest.mark.parametrize(("keyed", "speculation"), [(False, "true"), (True, "True"), (False, "True")])
def test_speculation_is_refused_unless_requests_have_keys(
    tmp_path: Path, keyed: bool, speculation: str
) -> None:
    with recording_api(tmp_path) as api:
        data = pipeline(tmp_path, api.url, 10)
        if keyed:
            data["middleware"].append({"type": "idempotency_key"})
        with driver(tmp_path, data, LOCAL, settings={"spark.speculation": speculation}) as run:
            status = run.wait()

        assert (status == 0) is keyed, run.output
        assert (api.count > 0) is keyed
        assert keyed or "set spark.speculation=false, or list the middleware idempotency_key" in run.output


def test_an_api_that_is_down_for_a_while_costs_no_row(tmp_path: Path) -> None:
    rows = 600
    breaker = {"type": "circuit_breaker", "open_for": 1, "max_open_for": 2}
    retry = {**RETRY, "max_attempts": 30, "max_delay": 2, "base_delay": 0.5, "deadline": 300}
    (port,) = free_ports(1)
    with recording_api(tmp_path, latency=0.02, port=port) as api:
        data = {**pipeline(tmp_path, api.url, rows), "middleware": [retry, breaker]}
        with driver(tmp_path, data, LOCAL) as run:
            api.wait_for(rows // 4, lambda: run.ended)
            api.stop()
            until = time.monotonic() + DOWN_SECONDS
            while time.monotonic() < until and not run.ended:
                time.sleep(0.1)
            with recording_api(tmp_path, latency=0.02, port=port) as again:
                assert run.wait() == 0, run.output
                asked = Counter(each.row for each in again.requests)

    found = table(tmp_path / "out")
    assert (found.rows, found.length) == (truth(rows), rows)
    # The log goes on where it had ended, so these are the requests before and after.
    assert set(asked.values()) <= {1, 2}
    assert sum(calls == 2 for calls in asked.values()) <= SLOTS * CONNECTIONS, "more than what was in flight"


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A disk in memory of that *size*."""
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], check=False
    )
    if mounted.returncode:
        pytest.skip("a disk of its own takes the rights of root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="a disk of its own takes the rights of root")
def test_a_disk_that_is_full_at_the_end_costs_no_second_request(tmp_path: Path) -> None:
    rows = 300
    with recording_api(tmp_path) as api, small_disk(tmp_path / "disk", "16k") as disk:
        data: dict[str, Any] = pipeline(tmp_path, api.url, rows)
        data["sink"]["path"] = str(disk / "out")
        data["execution"]["checkpoint"] = str(tmp_path / "_http_enrich")
        with driver(tmp_path, data, LOCAL) as run:
            assert run.wait() != 0
            assert "Nothing is lost: answers are kept in" in run.output
        asked = api.count
        assert asked == rows == len(committed(tmp_path))
        assert not list(disk.glob("out/part-*"))
        subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
        with driver(tmp_path, data, LOCAL) as run:
            assert run.wait() == 0, run.output
        assert api.count == asked
        found = table(disk / "out")

    assert (found.rows, found.length) == (truth(rows), rows)
