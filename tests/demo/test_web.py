"""`make airflow`, from its first line to Ctrl-C."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

from http_enrich_demo.rest import AirflowRest
from tests.support.application import ROOT, left_behind

SECONDS = 300
"""More than it takes to start on a busy machine."""

ELSEWHERE = """
import signal
from pathlib import Path
from http_enrich_demo import web

folder = Path({folder!r})
web.HOME, web.LOG, web.DATA = folder / "home", folder / "web.log", folder / "data"
signal.signal(signal.SIGINT, signal.default_int_handler)
web.run()
"""


def test_whoever_logs_in_finds_the_examples_and_ctrl_c_ends_all_of_it(tmp_path: Path) -> None:
    program = ELSEWHERE.format(folder=str(tmp_path))
    log = tmp_path / "output.txt"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", program],
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + SECONDS
        while "Ctrl-C stops everything" not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
        welcome = log.read_text()
        found = re.search(r"Airflow +(\S+)/dags/\S+\n +log in as +(\S+), password (\S+)\n", welcome)
        assert found is not None, welcome
        airflow = AirflowRest(*found.groups())
        while len(dags := airflow.get("/dags")["dags"]) < 5:
            assert time.monotonic() < deadline, dags
            time.sleep(0.5)
        parts = {name: each["status"] for name, each in airflow.get("/monitor/health").items()}
        os.kill(process.pid, signal.SIGINT)
        process.wait(timeout=SECONDS)
        left = left_behind(process.pid, 10)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)

    assert {each["dag_id"] for each in dags} >= {"airports_daily", "airports_mapped"}
    assert set(parts.values()) == {"healthy"}, parts
    assert left == []
