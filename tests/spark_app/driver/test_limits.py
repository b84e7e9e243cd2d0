"""Runs that end early: they keep what they have paid for, and say how to go on."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from pyspark.sql import SparkSession

from http_enrich_demo.airports import write_source
from http_enrich_demo.api import run_in_thread
from http_enrich_spark.driver import RunError, _contact, _try
from http_enrich_spark.driver.ledger import Epoch
from tests.support.deadline import within
from tests.support.dying import dies_after
from tests.support.runs import ok, pipeline, run, write_ids
from tests.support.web import web_server

ROWS = 6000
PATIENCE = 15
"""Seconds; a limit is documented to hold after about two, on a machine that has nothing else to do."""


def airports(folder: Path, url: str, token: str = "token", **execution: Any) -> dict[str, Any]:
    (folder / "token").write_text(token)
    headers = {"Authorization": f"Bearer ${{file.{folder}/token}}"}
    return pipeline(
        folder,
        url,
        source={"id": ["icao"]},
        endpoint={"path": "/v1/airports/${row.icao}", "headers": headers},
        execution={"batch_size": 500, **execution},
    )


@pytest.mark.parametrize(
    ("limits", "reason", "retry"),
    [
        (
            {"max_calls": 400},
            r"and execution\.max_calls is 400; raise it to go on",
            False,
        ),
        (
            {"deadline": 3, "concurrency": 5},
            r"execution\.deadline of 3 s is over; run it again to go on",
            True,
        ),
    ],
)
def test_a_run_that_reaches_its_limit_goes_on_later(
    spark: SparkSession, tmp_path: Path, limits: dict[str, Any], reason: str, retry: bool
) -> None:
    write_source(tmp_path / "source", limit=ROWS)
    with run_in_thread("token", latency=(0.02, 0.03)) as (url, api):
        with pytest.raises(RunError, match=reason) as caught:
            run(spark, airports(tmp_path, url, **limits))
        asked = api.stats.requests
        summary = run(spark, airports(tmp_path, url))

    assert 0 < asked < ROWS
    assert "Nothing is lost" in str(caught.value)
    assert caught.value.retry is retry
    assert (summary.rows_out, summary.ok, summary.resumed) == (ROWS, ROWS, asked)
    assert api.stats.requests == summary.calls == ROWS


def test_requests_count_although_their_rows_are_tried_again_and_again(
    spark: SparkSession, tmp_path: Path
) -> None:
    """Twenty rows at a time that fail a hundred times each are 2,000 requests before the first row ends."""
    write_ids(tmp_path, *(f"r{n}" for n in range(2000)))
    retry = {"type": "retry", "max_attempts": 100, "base_delay": 0, "deadline": None, "budget": None}

    async def overloaded(_: web.Request) -> web.Response:
        await asyncio.sleep(0.2)
        return web.Response(status=503)

    with web_server(overloaded) as api:
        data = pipeline(
            tmp_path, api.url, middleware=[retry], execution={"concurrency": 10, "max_calls": 100}
        )
        with pytest.raises(RunError, match=r"requests were made, and execution\.max_calls is 100"):
            run(spark, data)
        asked = len(api.paths)

    assert 100 <= asked <= 100 + PATIENCE * 20 / 0.2


def test_a_run_that_has_made_all_its_requests_makes_none_when_it_is_started_again(
    spark: SparkSession, tmp_path: Path
) -> None:
    write_ids(tmp_path, *(f"r{n}" for n in range(4000)))
    asked: list[int] = []

    async def slow(request: web.Request) -> web.Response:
        await asyncio.sleep(0.2)
        return ok(request)

    with web_server(slow) as api:
        data = pipeline(tmp_path, api.url, execution={"concurrency": 10, "max_calls": 20})
        for _ in range(2):
            with pytest.raises(RunError, match=r"and execution\.max_calls is 20; raise it to go on"):
                run(spark, data)
            asked.append(len(api.paths))

    assert 20 <= asked[0] == asked[1] < 4000


def test_a_deadline_does_not_wait_for_tomorrows_quota(spark: SparkSession, tmp_path: Path) -> None:
    write_ids(tmp_path, *(f"r{n}" for n in range(100)))
    quota = {"type": "rate_limit", "rates": [{"limit": 10, "per": "1d"}]}
    with web_server(ok) as api:
        data = pipeline(tmp_path, api.url, middleware=[quota], execution={"deadline": 4})
        with pytest.raises(RunError, match=r"execution\.deadline of 4 s is over"):
            within(120, lambda: run(spark, data))
        asked = len(api.paths)
        summary = run(spark, pipeline(tmp_path, api.url))

    assert asked <= 10
    assert (summary.rows_out, summary.ok, summary.resumed) == (100, 100, asked)
    assert len(api.paths) == summary.calls == 100


def test_a_deadline_ends_a_run_whose_workers_do_not_reach_the_driver(
    spark: SparkSession,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Nobody tells them that it is over; tasks that have ended by then are not asked again."""
    write_ids(tmp_path, *(f"r{n}" for n in range(300)))
    write_ids(tmp_path / "before", "a", "b")

    async def slow(request: web.Request) -> web.Response:
        await asyncio.sleep(0.2)
        return ok(request)

    # The coordinator is then said to be where it does not listen.
    elsewhere = spark.sparkContext.getConf().set("spark.driver.host", "127.0.0.2")
    monkeypatch.setattr(_contact, "SILENCE", 1.0)
    monkeypatch.setattr(_try, "GRACE", -60.0)  # takes base_timeout off again: cancelled at once
    with web_server(slow) as api:
        run(spark, pipeline(tmp_path / "before", api.url))  # the first run takes its time to start workers
        limits = {"concurrency": 1, "batch_size": 5, "deadline": 10}
        data = pipeline(tmp_path, api.url, transport={"base_timeout": 60}, execution=limits)
        with monkeypatch.context() as network:
            network.setattr(spark.sparkContext, "getConf", lambda: elsewhere)
            with pytest.raises(
                RunError, match=r"^execution\.deadline of 10 s is over; run it again"
            ) as caught:
                within(240, lambda: run(spark, data))
        asked = len(api.paths) - 2
        summary = run(spark, pipeline(tmp_path, api.url, execution={"concurrency": 50}))

    assert (caught.value.kind, caught.value.retry) == ("deadline", True)
    assert "they seem not to reach the driver at 127.0.0.2:" in caplog.text
    assert asked < 300
    assert 0 < summary.resumed <= asked
    assert (summary.rows_out, summary.ok, summary.calls) == (300, 300, 300)


def test_a_run_that_fails_all_over_is_ended_before_it_has_asked_for_everything(
    spark: SparkSession, tmp_path: Path
) -> None:
    write_source(tmp_path / "source", limit=ROWS)
    with run_in_thread("token", latency=(0.02, 0.03)) as (url, api):
        with pytest.raises(RunError, match=r"these credentials \(.* auth: .*; .* were given up"):
            run(spark, airports(tmp_path, url, max_error_rate=0.05, token="wrong"))
        asked = api.stats.requests
        summary = run(spark, {**airports(tmp_path, url, max_error_rate=0.05)})

    assert 50 < asked < ROWS
    assert summary.ok == ROWS


def test_the_report_says_where_the_time_went(spark: SparkSession, tmp_path: Path) -> None:
    write_source(tmp_path / "source", limit=300)
    with run_in_thread("token", latency=(0.001, 0.002)) as (url, _):
        data = airports(tmp_path, url)
        data["middleware"] = [{"type": "rate_limit", "max_requests_per_second": 300}, {"type": "cache"}]
        summary = run(spark, data)

    report = json.loads((Path(summary.folder) / "report.json").read_text())
    assert report["summary"] == summary.as_dict()
    assert report["statuses"] == {"200": 300}
    assert sum(count for _, count in report["histogram"]) == report["latency"]["count"] == 300
    workers = report["workers"]
    assert (workers["outcomes"], workers["calls"]) == ({"ok": 300}, 300)
    assert workers["counters"] == {"cache.misses": 300}
    assert workers["seconds"]["network"] > 0.3
    assert workers["seconds"]["limiter"] > 0


def test_requests_whose_answers_were_lost_count_for_max_calls(spark: SparkSession, tmp_path: Path) -> None:
    ids = [f"{n:02}" for n in range(60)]
    write_ids(tmp_path, *ids)
    with web_server(ok) as server:
        data = pipeline(tmp_path, server.url, execution={"max_calls": len(ids) + 1})
        with dies_after(Epoch, "write"):
            run(spark, data)
        for file in (tmp_path / "_http_enrich").glob("*/epoch=1/part-*"):
            file.unlink()
        # Slow enough for the driver to look before all is asked for again.
        slow = {**data, "middleware": [{"type": "rate_limit", "max_requests_per_second": 2}]}
        with pytest.raises(RunError, match=r"and execution\.max_calls is 61; raise it to go on"):
            run(spark, slow)

    assert len(ids) < len(server.paths) < 2 * len(ids)
