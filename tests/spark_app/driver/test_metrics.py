"""The figures of the report are those of the rows."""

from __future__ import annotations

from pathlib import Path

from aiohttp import web
from pyspark.sql import SparkSession

from tests.support.runs import out, pipeline, run, write_ids
from tests.support.web import web_server


def respond(request: web.Request) -> web.Response:
    number = int(request.path.rpartition("/")[2])
    return web.json_response({}, status=404 if number % 10 == 3 else 200)


def test_the_report_counts_what_the_rows_and_the_api_say(spark: SparkSession, tmp_path: Path) -> None:
    write_ids(tmp_path, *map(str, range(100)))
    with web_server(respond) as server:
        steps = [{"type": "metrics"}, {"type": "cache"}, {"type": "retry"}]
        summary = run(spark, pipeline(tmp_path, server.url, middleware=steps, execution={"batch_size": 10}))

    assert summary.metrics is not None
    latency = summary.metrics.pop("latency")
    assert summary.metrics == {
        "rows": {"ok": 90, "http_status": 10},
        "requests": 100,
        "retries": 0,
        "counters": {"cache.misses": 100},
    }
    assert {name: each["count"] for name, each in latency.items()} == {"2xx": 90, "4xx": 10}
    assert all(0 < each["p50_ms"] <= each["p99_ms"] <= each["max_ms"] for each in latency.values())
    slowest = max(row.http.elapsed_ms for row in out(spark, tmp_path))
    assert max(each["max_ms"] for each in latency.values()) <= slowest


def test_without_metrics_there_are_none(spark: SparkSession, tmp_path: Path) -> None:
    write_ids(tmp_path, "1")
    with web_server(respond) as server:
        summary = run(spark, pipeline(tmp_path, server.url))

    assert summary.metrics is None
