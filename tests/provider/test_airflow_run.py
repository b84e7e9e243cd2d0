"""A day of the example DAG with real Airflow, real Spark and a real API; then a look for its secret."""

from __future__ import annotations

import json
import sqlite3
import stat
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import NamedTuple

import pyarrow.dataset as ds
import pytest

from http_enrich_demo.airflow_env import DAGS, environment
from http_enrich_demo.airports import codes, write_source
from http_enrich_demo.api import run_in_thread
from http_enrich_demo.run_dag import DagResult, run_dag
from http_enrich_demo.stats import Stats
from http_enrich_demo.verify import check_table
from tests.support.leaks import forms_of, leaks

TOKEN = "canary+token/for:tests=7"
DAY = date(2026, 3, 14)
ROWS = 3000


class Run(NamedTuple):
    """What is left of the run: folders, the operator's result, the API's counters, all command lines seen."""

    folder: Path
    result: DagResult
    stats: Stats
    command_lines: set[bytes]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    folder = tmp_path_factory.mktemp("run")
    write_source(folder / "data" / "source", limit=ROWS)
    with run_in_thread(TOKEN, latency=(0.005, 0.050), fault_rate=0.01) as (url, api), _Watcher() as watcher:
        env = environment(folder / "airflow", DAGS, data=folder / "data", api_url=url, token=TOKEN)
        result = run_dag(env | _recording_spark(folder, env), folder / "airflow.log", day=DAY)
        yield Run(folder, result, api.stats, watcher.seen)


def _recording_spark(folder: Path, env: dict[str, str]) -> dict[str, str]:
    """Have Spark write its event log, and spark-submit its arguments."""
    events, bin_ = folder / "events", folder / "bin"
    for each in (events, bin_):
        each.mkdir()
    log = {"enabled": "true", "dir": f"file://{events}", "compress": "false"}
    options = " ".join(f"-Dspark.eventLog.{name}={value}" for name, value in log.items())
    wrapper = bin_ / "spark-submit"
    wrapper.write_text(
        f'#!/bin/sh\nprintf "%s\\n" "$@" >> {folder}/argv\nPATH=${{PATH#*:}} exec spark-submit "$@"\n'
    )
    wrapper.chmod(wrapper.stat().st_mode | stat.S_IXUSR)
    return {"SPARK_SUBMIT_OPTS": options, "PATH": f"{bin_}:{env['PATH']}"}


class _Watcher:
    """Reads the command line of every process on the machine, again and again."""

    def __init__(self) -> None:
        self.seen: set[bytes] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> _Watcher:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.2):
            for process in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    self.seen.add(process.read_bytes())
                except OSError:
                    continue  # it has ended meanwhile


def test_every_row_is_there_and_true(run: Run) -> None:
    report = check_table(
        run.folder / "data" / "airports", partition={"day": DAY.isoformat()}, expected_icaos=codes()[:ROWS]
    )

    assert report.rows == ROWS


def test_summary_agrees_with_the_api(run: Run) -> None:
    summary = run.result.summary

    assert (summary["rows_in"], summary["rows_out"], summary["ok"], summary["failed"]) == (
        ROWS,
        ROWS,
        ROWS,
        0,
    )
    assert summary["calls"] == run.stats.requests
    assert summary["retries"] == run.stats.requests - ROWS > 0


def test_one_worker_opens_no_more_than_the_limit(run: Run) -> None:
    assert run.stats.connections <= 2 * 25  # two workers, limit 25 in the example


def test_a_sample_of_the_successes_is_in_the_log(run: Run) -> None:
    lines = (run.folder / "airflow.log").read_text().splitlines()

    assert [line for line in lines if "INFO GET http://127.0.0.1" in line and "status=200" in line]


def test_both_links_are_in_the_database(run: Run) -> None:
    database = sqlite3.connect(run.folder / "airflow" / "airflow.db")
    links = dict(database.execute("SELECT key, value FROM xcom WHERE key LIKE 'http_enrich_%_link'"))
    database.close()

    assert "/plugin/http-enrich-report" in links["http_enrich_report_link"]
    assert links["http_enrich_spark_ui_link"].strip('"') == "/http-enrich/spark-ui"
    assert "INFO Spark UI of local-" in (run.folder / "airflow.log").read_text()


def test_summary_is_small_json(run: Run) -> None:
    assert len(json.dumps(run.result.summary)) < 1000


def test_the_whole_report_is_in_the_metadata_database(run: Run) -> None:
    with closing(sqlite3.connect(run.folder / "airflow" / "airflow.db")) as database:
        ((value,),) = database.execute("SELECT value FROM xcom WHERE key = 'http_enrich_report'")
    report = json.loads(value)
    report = json.loads(report) if isinstance(report, str) else report

    assert (report["state"], report["summary"]["rows_out"]) == ("published", ROWS)
    assert report["curve"][-1][1] == ROWS


def test_the_token_is_nowhere_to_be_seen(run: Run) -> None:
    """Not in log, event log, metadata database (XCom, rendered fields), argv, or table."""
    assert (run.folder / "argv").exists()
    assert list((run.folder / "events").iterdir())

    assert leaks(TOKEN, run.folder) == []


def test_the_token_is_in_no_command_line(run: Run) -> None:
    assert any(b"http_enrich.zip" in line for line in run.command_lines)
    assert [line for line in run.command_lines for form in forms_of(TOKEN) if form.encode() in line] == []


def test_the_token_is_in_no_column(run: Run) -> None:
    """The files are compressed, so the values have to be read."""
    rows = ds.dataset(run.folder / "data" / "airports").to_table().to_pylist()

    assert TOKEN not in json.dumps(rows, default=str)


def test_figures_are_all_that_stays_behind(run: Run) -> None:
    """Neither staged answers nor the folder through which operator and driver talk."""
    submission = next(line for line in (run.folder / "argv").read_text().split() if "submission" in line)

    data = run.folder / "data"
    assert sorted(path.name for path in data.iterdir()) == ["_http_enrich", "airports", "source"]
    left = sorted(path.name for path in data.glob("_http_enrich/*/*"))
    assert left == ["done-1.json", "epoch-1.lease", "report.json", "run.json"]
    assert not Path(submission).parent.exists()
