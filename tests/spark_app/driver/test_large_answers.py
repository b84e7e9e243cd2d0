"""Answers of 10 MB go through Spark, its files included, in a JVM that cannot hold a task's of them."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
from aiohttp import web
from pyspark.sql import SparkSession

from tests.support.driver_process import driver
from tests.support.runs import pipeline, write_ids
from tests.support.web import web_server

ROWS, BODY = 24, 10_000_000
NOISE = Path("/dev/urandom")


def test_large_answers_are_kept_and_published_in_pieces_that_fit_into_memory(
    spark: SparkSession, tmp_path: Path
) -> None:
    """By default, Parquet makes one page of a hundred of them, and Spark dies of it, all paid for."""
    write_ids(tmp_path, *[f"{n:02}" for n in range(ROWS)])
    with NOISE.open("rb") as noise:
        text = noise.read(BODY // 2).hex().encode()

    def respond(request: web.Request) -> web.Response:
        return web.Response(body=b'"%s %s"' % (request.path.encode(), text), content_type="application/json")

    with web_server(respond) as server:
        data = pipeline(
            tmp_path,
            server.url,
            transport={"base_timeout": 60},
            response={"keep_body": True},
            execution={"max_error_rate": 0, "concurrency": 4},
        )
        with driver(tmp_path, data, "local[2]", settings={"spark.driver.memory": "1g"}) as run:
            status = run.wait()
        assert (status, len(server.paths)) == (0, ROWS), run.output[-3000:]

    files = [pq.ParquetFile(each) for each in sorted((tmp_path / "out").glob("*.parquet"))]
    bodies = [batch for file in files for batch in file.iter_batches(1, columns=["http.body"])]
    sizes = [len(batch.column(0).field("body")[0].as_py()) for batch in bodies]
    assert len(sizes) == ROWS
    assert all(BODY < size < BODY + 100 for size in sizes)
