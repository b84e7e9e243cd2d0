"""Failed rows that go elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from pyspark.sql import SparkSession

from http_enrich_spark.config import PipelineError
from http_enrich_spark.driver import RunError
from tests.support.runs import ok, out, pipeline, run, write_ids
from tests.support.web import web_server


def respond(request: web.Request) -> web.Response:
    return web.Response(status=500) if request.path.endswith("b") else ok(request)


def with_dead_letter(folder: Path, url: str, **sections: Any) -> dict[str, Any]:
    dead = {"dead_letter": {"path": str(folder / "dead")}}
    return pipeline(folder, url, errors=dead, response={"select": "data", "schema": "n INT"}, **sections)


def test_failed_rows_are_in_the_dead_letter_and_nowhere_else(spark: SparkSession, tmp_path: Path) -> None:
    write_ids(tmp_path, "a", "b", "c")
    with web_server(respond) as server:
        summary = run(spark, with_dead_letter(tmp_path, server.url))

    assert [(row.id, row.n) for row in out(spark, tmp_path)] == [("a", 7), ("c", 7)]
    dead = spark.read.parquet(str(tmp_path / "dead"))
    assert dead.columns == ["id", "http"]
    assert [(row.id, row.http.outcome) for row in dead.collect()] == [("b", "server_error")]
    assert (summary.rows_in, summary.rows_out, summary.dead, summary.failed) == (3, 2, 1, 1)


def test_a_dead_letter_that_cannot_be_written_is_found_before_anything_is_requested(
    spark: SparkSession, tmp_path: Path
) -> None:
    write_ids(tmp_path, "a")
    with web_server(respond) as server:
        data = with_dead_letter(tmp_path, server.url)
        data["errors"]["dead_letter"]["format"] = "text"
        with pytest.raises(RunError, match="dead cannot be written"):
            run(spark, data)
        assert server.paths == []


@pytest.mark.parametrize("path", ["out", "out/", "out/dead", "."])
def test_a_dead_letter_is_kept_apart_from_the_table(spark: SparkSession, tmp_path: Path, path: str) -> None:
    data = with_dead_letter(tmp_path, "http://127.0.0.1:1")
    data["errors"]["dead_letter"]["path"] = str(tmp_path) if path == "." else f"{tmp_path}/{path}"
    with pytest.raises(PipelineError, match=r"errors\.dead_letter and sink are in one place"):
        run(spark, data)


def test_errors_is_one_word_or_a_dead_letter(spark: SparkSession, tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="errors"):
        run(spark, {**pipeline(tmp_path, "http://127.0.0.1:1"), "errors": "drop"})
