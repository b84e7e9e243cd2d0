"""Ids tell rows apart, or say that they do not."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from http_enrich_spark.driver import RunError
from tests.support.runs import ok, out, pipeline, run, write_ids
from tests.support.web import web_server


@pytest.mark.parametrize(
    ("mode", "ids", "left_out"), [("first", ["a", "b"], 1), ("each", ["a", "a", "b"], 0)]
)
def test_rows_that_share_an_id(
    spark: SparkSession, tmp_path: Path, mode: str, ids: list[str], left_out: int
) -> None:
    write_ids(tmp_path, "a", "b", "a")
    with web_server(ok) as server:
        summary = run(spark, pipeline(tmp_path, server.url, source={"on_duplicate_id": mode}))

    assert [row.id for row in out(spark, tmp_path)] == ids
    assert (summary.rows_in, summary.rows_out, summary.left_out) == (len(ids), len(ids), left_out)
    assert len(server.paths) == len(ids)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (
            "SELECT explode(array('a', 'a', 'b')) AS id",
            r"2 rows share 1 ids; find them with GROUP BY `id` HAVING",
        ),
        ("SELECT explode(array(1D, double('NaN'))) AS id", "1 rows have a null or NaN in id"),
        ("SELECT explode(array(1, NULL)) AS id", "1 rows have a null or NaN in id"),
    ],
)
def test_ids_that_do_not_identify_are_refused_before_anything_is_requested(
    spark: SparkSession, tmp_path: Path, query: str, message: str
) -> None:
    with web_server(ok) as server:
        data = pipeline(tmp_path, server.url)
        data["source"] = {"query": query, "id": ["id"]}
        with pytest.raises(RunError, match=message):
            run(spark, data)

        assert server.paths == []
    assert not (tmp_path / "_http_enrich").exists()
