"""What becomes visible of a run, when, and what stays."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from pyspark.sql import Row, SparkSession
from pyspark.sql.datasource import DataSource, DataSourceWriter, WriterCommitMessage
from pyspark.sql.types import StructType

from http_enrich_spark.config import RunInfo, load_pipeline
from http_enrich_spark.driver import RunError, run_pipeline
from tests.support.runs import Sections, ok, out, pipeline, run, write_ids
from tests.support.web import web_server


def test_too_many_failures_publish_nothing_and_keep_the_answers(spark: SparkSession, tmp_path: Path) -> None:
    write_ids(tmp_path, "a", "b")
    data = pipeline(
        tmp_path,
        "",
        execution={"max_error_rate": 0.4, "checkpoint": str(tmp_path / "kept")},
    )
    reason = r"50\.0% of the rows failed.*1 server_error: http_status, HTTP status 500.*\n.*kept in"
    with web_server(lambda r: web.Response(status=500 if r.path.endswith("a") else 200)) as server:
        data["endpoint"]["base_url"] = server.url

        with pytest.raises(RunError, match=reason):
            run(spark, data)

    assert not (tmp_path / "out").exists()
    assert spark.read.parquet(*map(str, (tmp_path / "kept").glob("*/epoch=1"))).count() == 2


def test_rows_that_are_not_published_are_seen_by_no_reader(spark: SparkSession, tmp_path: Path) -> None:
    """The folder of a failed run stands beside a partition of the table."""
    write_ids(tmp_path, "a")
    status = iter([200, 500])
    with web_server(lambda _: web.Response(status=next(status))) as server:
        for day in ("2026-01-01", "2026-01-02"):
            sink = {"path": str(tmp_path / "table" / f"day={day}")}
            data = pipeline(tmp_path, server.url, sink=sink, execution={"max_error_rate": 0.5})
            config = load_pipeline(data, environ={})
            if day == "2026-01-01":
                run_pipeline(spark, config, RunInfo(id=day))
            else:
                with pytest.raises(RunError, match="kept in"):
                    run_pipeline(spark, config, RunInfo(id=day))

    assert [str(row.day) for row in spark.read.parquet(str(tmp_path / "table")).collect()] == ["2026-01-01"]


class Drawer(DataSource):
    """A sink of which there is one, to which rows can be added."""

    @classmethod
    def name(cls) -> str:
        return "drawer"

    def writer(self, schema: StructType, overwrite: bool) -> DataSourceWriter:
        return DrawerWriter(Path(self.options["path"]))


class DrawerWriter(DataSourceWriter):
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, iterator: Iterator[Row]) -> WriterCommitMessage:
        self._folder.mkdir(parents=True, exist_ok=True)
        for row in iterator:
            (self._folder / row.id).write_text(row.http.outcome)
        return WriterCommitMessage()


def test_a_format_that_can_only_be_added_to_is_a_sink(spark: SparkSession, tmp_path: Path) -> None:
    spark.dataSource.register(Drawer)
    write_ids(tmp_path, "a", "b")
    with web_server(ok) as server:
        run(spark, pipeline(tmp_path, server.url, sink={"format": "drawer", "mode": "append"}))

    assert {file.name: file.read_text() for file in (tmp_path / "out").iterdir()} == {"a": "ok", "b": "ok"}


@pytest.mark.parametrize(
    "sink",
    [
        {"format": "text"},  # cannot hold more than one column
        {"format": "nonsense"},
        {"options": {"compression": "nonsense"}},
        {"partition_by": ["id", "http"]},
    ],
)
def test_a_sink_that_cannot_be_written_is_found_while_the_old_table_is_whole(
    spark: SparkSession, tmp_path: Path, sink: dict[str, Any]
) -> None:
    """Mode overwrite deletes first and writes then."""
    write_ids(tmp_path, "a")
    write_ids(tmp_path / "old", "kept")
    (tmp_path / "old" / "source").rename(tmp_path / "out")
    with web_server(ok) as server:
        with pytest.raises(RunError, match=r"sink: .* cannot be written: "):
            run(spark, pipeline(tmp_path, server.url, sink={"mode": "overwrite", **sink}))

        assert server.paths == []
    assert [row.id for row in out(spark, tmp_path)] == ["kept"]


@pytest.mark.parametrize(
    ("table", "partition_by", "message"),
    [
        (
            "SELECT 'b' AS id, 1 AS day, 2 AS extra, NULL AS http",
            ["day"],
            "only there: extra; only here: none",
        ),
        ("SELECT 'b' AS id, 1 AS day", ["day"], "only there: none; only here: http"),
        ("SELECT 'b' AS id, 1 AS day, 'x' AS http", ["id"], "is partitioned by day; say the same"),
    ],
)
def test_a_table_that_does_not_fit_is_found_before_anything_is_requested(
    spark: SparkSession, tmp_path: Path, table: str, partition_by: list[str], message: str
) -> None:
    """insertInto would drop columns, or replace the whole table."""
    spark.sql("DROP TABLE IF EXISTS unfit")
    spark.sql(table.replace("NULL", "'x'")).write.partitionBy("day").saveAsTable("unfit")
    with web_server(ok) as server:
        data = pipeline(tmp_path, server.url, execution={"checkpoint": str(tmp_path / "stage")})
        data["source"] = {"query": "SELECT 'a' AS id, 1 AS day", "id": ["id"]}
        data["sink"] = {"table": "unfit", "partition_by": partition_by, "mode": "overwrite_partitions"}

        with pytest.raises(RunError, match=message):
            run(spark, data)

        assert server.paths == []


def test_figures_are_all_that_is_left_after_publishing(spark: SparkSession, tmp_path: Path) -> None:
    write_ids(tmp_path, "a")
    with web_server(ok) as server:
        run(spark, pipeline(tmp_path, server.url))

    assert sorted(path.name for path in tmp_path.iterdir()) == ["_http_enrich", "out", "source"]
    assert sorted(path.name for path in (tmp_path / "_http_enrich").glob("*/*")) == [
        "done-1.json",
        "epoch-1.lease",
        "report.json",
        "run.json",
    ]


def test_empty_source_publishes_an_empty_table(spark: SparkSession, tmp_path: Path) -> None:
    write_ids(tmp_path, "a")
    with web_server(ok) as server:
        data = pipeline(tmp_path, server.url, source={"where": "id = 'none'"}, response={"schema": "n INT"})
        summary = run(spark, data)

    assert (summary.rows_in, summary.rows_out, server.paths) == (0, 0, [])
    assert spark.read.parquet(str(tmp_path / "out")).columns == ["id", "n", "http"]


def test_existing_sink_is_found_before_anything_is_requested(spark: SparkSession, tmp_path: Path) -> None:
    write_ids(tmp_path, "a")
    (tmp_path / "out").mkdir()
    with web_server(ok) as server:
        with pytest.raises(RunError, match="exists and mode is 'error'"):
            run(spark, pipeline(tmp_path, server.url))

        assert server.paths == []


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("append", [("1", "x"), ("2", "old"), ("2", "x")]),
        ("overwrite", [("2", "x")]),
        ("overwrite_partitions", [("1", "x"), ("2", "x")]),
    ],
)
@pytest.mark.parametrize("target", ["path", "table"])
def test_sink_modes(
    spark: SparkSession, tmp_path: Path, target: str, mode: str, expected: list[tuple[str, str]]
) -> None:
    """The table has the days 1 and 2; the run brings day 2."""
    table = f"t_{mode}"
    spark.sql(f"DROP TABLE IF EXISTS {table}")
    sink = {"path": str(tmp_path / "out")} if target == "path" else {"path": None, "table": table}
    query = "SELECT 'a' AS id, '{day}' AS day, '{tag}' AS tag"
    sections: Sections = {
        "sink": {**sink, "partition_by": ["day"], "mode": mode},
        "execution": {"checkpoint": str(tmp_path / "stage")},
    }
    with web_server(ok) as server:
        runs = [("1", "x", "append"), ("2", "old", "append"), ("2", "x", mode)]
        for number, (day, tag, this) in enumerate(runs):
            data = {**pipeline(tmp_path, server.url, **sections), "name": f"run{number}"}
            data["source"] = {"query": query.format(day=day, tag=tag), "id": ["id"]}
            data["sink"]["mode"] = this
            run(spark, data)

    rows = spark.table(table) if target == "table" else spark.read.parquet(str(tmp_path / "out"))
    found = sorted((str(row.day), row.tag) for row in rows.collect())
    assert found == expected


@pytest.mark.parametrize(
    ("before", "sink", "reason"),
    [
        ("SELECT 'b' AS id, 1 AS n, '1' AS day", {"partition_by": []}, "is partitioned by day; say the same"),
        ("SELECT 'b' AS id, 1 AS n, '1' AS day", {"partition_by": ["id", "day"]}, "partitioned by day; say"),
        ("SELECT 'b' AS id, 'x' AS n, '1' AS day", {}, "has the column 'n' as string, .* write it as int"),
    ],
)
@pytest.mark.parametrize("mode", ["append", "overwrite_partitions"])
def test_files_that_nobody_could_read_together_are_found_before_anything_is_requested(
    spark: SparkSession, tmp_path: Path, before: str, sink: dict[str, Any], reason: str, mode: str
) -> None:
    place = {"partition_by": ["day"], **sink, "mode": mode}
    if mode == "overwrite_partitions" and not place["partition_by"]:
        place["mode"] = "append"
    with web_server(ok) as server:
        data = pipeline(tmp_path, server.url, sink=place)
        source = {"query": "SELECT 'a' AS id, 1 AS n, '2' AS day", "id": ["id"]}
        first = {**data, "name": "first", "source": {"query": before, "id": ["id"]}}
        first["sink"] = {**data["sink"], "partition_by": ["day"], "mode": "append"}
        run(spark, first)
        asked_before = len(server.paths)
        with pytest.raises(RunError, match=reason):
            run(spark, {**data, "source": source})

    assert len(server.paths) == asked_before
