"""What a run replaces holds nothing that it reads or keeps, however the paths are written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from pyspark.sql import SparkSession

from http_enrich_spark.driver import RunError
from tests.support.runs import ok, out, pipeline, run, write_ids
from tests.support.web import web_server

OVERWRITE = {"mode": "overwrite"}


@pytest.mark.parametrize(
    ("sections", "reason"),
    [
        ({"sink": {"path": "file:{0}", **OVERWRITE}}, "would delete what the source reads"),
        ({"sink": {"path": "file://{0}", **OVERWRITE}}, "would delete what the source reads"),
        ({"sink": {"path": "{0}/link", **OVERWRITE}}, "would delete what the source reads"),
        (
            {"errors": {"dead_letter": {"path": "file:{0}", **OVERWRITE}}},
            "sink.path is inside errors.dead_letter.path",
        ),
        (
            {"sink": {"path": "{0}/a/out"}, "errors": {"dead_letter": {"path": "file:{0}/a/out/dead"}}},
            "errors.dead_letter.path is inside sink.path",
        ),
        (
            {"sink": {"path": "{0}/a", **OVERWRITE}, "execution": {"checkpoint": "file:{0}//a/stage"}},
            "would delete the checkpoint",
        ),
        (
            {
                "errors": {"dead_letter": {"path": "{0}/a", **OVERWRITE}},
                "execution": {"checkpoint": "{0}/a/stage"},
            },
            "errors.dead_letter: mode overwrite would delete the checkpoint",
        ),
    ],
)
def test_a_run_deletes_neither_its_source_nor_its_ledger_nor_its_other_sink(
    spark: SparkSession, tmp_path: Path, sections: dict[str, dict[str, Any]], reason: str
) -> None:
    write_ids(tmp_path, "a")
    (tmp_path / "link").symlink_to(tmp_path)
    filled = _fill(sections, str(tmp_path))
    with web_server(ok) as server, pytest.raises(RunError, match=reason):
        run(spark, pipeline(tmp_path, server.url, **filled))

    assert server.paths == []
    assert [row.id for row in spark.read.parquet(str(tmp_path / "source")).collect()] == ["a"]


def _fill(value: Any, folder: str) -> Any:
    if isinstance(value, dict):
        return {key: _fill(each, folder) for key, each in value.items()}
    return value.replace("{0}", folder) if isinstance(value, str) else value


def test_a_table_may_be_enriched_in_its_place(spark: SparkSession, tmp_path: Path) -> None:
    spark.sql("SELECT 'a' AS id, 1 AS day").write.partitionBy("day").parquet(str(tmp_path / "out"))

    def api(_: web.Request) -> web.Response:
        return web.json_response({})

    with web_server(api) as server:
        source = {"path": f"file:{tmp_path}/out"}
        sink = {"partition_by": ["day"], **OVERWRITE}
        run(spark, pipeline(tmp_path, server.url, source=source, sink=sink))

    (row,) = out(spark, tmp_path)
    assert (row.id, row.day, row.http.outcome) == ("a", 1, "ok")
