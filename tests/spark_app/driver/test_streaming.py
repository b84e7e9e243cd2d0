"""Rows stream through a worker in a bounded window, whatever is in their cells."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp import web
from pyspark.sql import DataFrame, SparkSession

from tests.support.deadline import within
from tests.support.runs import ok, pipeline, run
from tests.support.web import web_server

ROWS, BATCH, CONCURRENCY = 300, 10, 4


@pytest.fixture
def small_batches(spark: SparkSession) -> Iterator[None]:
    """Let Spark hand rows to Python in batches of ten."""
    setting = "spark.sql.execution.arrow.maxRecordsPerBatch"
    before = spark.conf.get(setting)
    spark.conf.set(setting, BATCH)
    yield
    spark.conf.set(setting, before or "10000")


@pytest.mark.usefixtures("small_batches")
def test_a_row_without_an_answer_holds_back_no_batch_and_never_too_much_is_in_flight(
    spark: SparkSession, tmp_path: Path
) -> None:
    """A gather per batch would wait for the first row of the first batch before it sent the second batch."""
    spark.sql(f"SELECT lpad(id, 3, '0') AS id FROM range({ROWS})").write.parquet(str(tmp_path / "source"))
    others, in_flight, most = 0, 0, 0
    nobody_waits = asyncio.Event()

    async def respond(request: web.Request) -> web.Response:
        nonlocal others, in_flight, most
        in_flight += 1
        most = max(most, in_flight)
        if request.path.endswith("/000"):
            await nobody_waits.wait()
        else:
            await asyncio.sleep(0)
            others += 1
            if others == ROWS - 1:
                nobody_waits.set()
        in_flight -= 1
        return ok(request)

    # One task, so that the row that hangs shares its window with all others.
    execution = {"concurrency": CONCURRENCY, "batch_size": ROWS}
    with web_server(respond) as server:
        data = pipeline(
            tmp_path, server.url, transport={"base_timeout": 250}, execution=execution, source={"id": ["id"]}
        )
        summary = within(280, lambda: run(spark, data))

    assert (summary.ok, len(set(server.paths)), len(server.paths)) == (ROWS, ROWS, ROWS)
    assert CONCURRENCY <= most <= CONCURRENCY * spark.sparkContext.defaultParallelism


CELLS = {
    # id: text, day, moment, number; and whether a request can be made of it
    "plain": ("'a'", "DATE'2026-01-02'", "TIMESTAMP'2026-01-02 03:04:05'", "1.5", True),
    "10 MB": ("repeat('x', 10000000)", "NULL", "NULL", "NULL", True),
    "11 MB": ("repeat('x', 11000000)", "NULL", "NULL", "NULL", False),
    "zero": ("concat('a', char(0), 'b')", "NULL", "NULL", "NULL", True),
    "surrogate": ("CAST(X'61EDA08062' AS STRING)", "NULL", "NULL", "NULL", False),
    "overlong": ("CAST(X'61C08062' AS STRING)", "NULL", "NULL", "NULL", False),
    "cut": ("CAST(X'61E282' AS STRING)", "NULL", "NULL", "NULL", False),
    "late day": ("'a'", "date_from_unix_date(3000000)", "NULL", "NULL", False),
    "late moment": ("'a'", "NULL", "timestamp_micros(300000000000000000)", "NULL", False),
    "all digits": ("'a'", "NULL", "NULL", "99999999999999999999999999999999999.999", True),
}


@pytest.mark.usefixtures("small_batches")
def test_a_cell_costs_its_own_row_at_most_and_comes_out_as_it_went_in(
    spark: SparkSession, tmp_path: Path
) -> None:
    rows = [
        f"SELECT '{id}' AS id, {text} AS text, {day} AS day, {moment} AS moment, "
        f"CAST({number} AS DECIMAL(38,3)) AS number"
        for id, (text, day, moment, number, _) in CELLS.items()
    ]
    spark.sql(" UNION ALL ".join(rows)).coalesce(1).write.parquet(str(tmp_path / "source"))
    body = {name: f"${{row.{name}}}" for name in ("text", "day", "moment", "number")}
    with web_server(ok) as server:
        run(spark, pipeline(tmp_path, server.url, endpoint={"method": "POST", "json": body}))

    found = spark.read.parquet(str(tmp_path / "out"))
    outcomes = {row.id: row.outcome for row in found.select("id", "http.outcome").collect()}
    assert outcomes == {id: "ok" if fine else "invalid_request" for id, (*_, fine) in CELLS.items()}
    assert len(server.paths) == sum(fine for *_, fine in CELLS.values())
    assert _fingerprints(found) == _fingerprints(spark.read.parquet(str(tmp_path / "source")))


def _fingerprints(rows: DataFrame) -> list[tuple[object, ...]]:
    """Compare in the JVM, which can hold what Python cannot."""
    return sorted(
        tuple(row)
        for row in rows.selectExpr("id", "xxhash64(text, day, moment, number)", "length(text)").collect()
    )
