"""Whole runs on a real Spark session against real servers on loopback."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from pyspark.sql import DataFrame, Row, SparkSession

from http_enrich_demo.airports import write_source
from http_enrich_demo.api import run_in_thread
from http_enrich_spark.config import RunInfo, load_pipeline
from http_enrich_spark.driver import RunError, RunSummary, _run, run_pipeline
from http_enrich_spark.driver._enrich import enrich
from http_enrich_spark.driver._facts import RowFacts, row_facts
from tests.support.peer import closed_port
from tests.support.web import web_server

Sections = dict[str, dict[str, Any]]


def pipeline(folder: Path, url: str, *, middleware: Any = (), **sections: dict[str, Any]) -> dict[str, Any]:
    """A pipeline from folder/source to folder/out; *sections* add to its sections or replace their keys."""
    base: dict[str, Any] = {
        "version": 1,
        "name": "test",
        "source": {"path": str(folder / "source"), "id": ["id"]},
        "endpoint": {"base_url": url, "path": "/items/${row.id}"},
        "transport": {"base_timeout": 5},
        "middleware": list(middleware),
        "sink": {"path": str(folder / "out")},
        "execution": {"max_error_rate": 1},
    }
    for name, keys in sections.items():
        base[name] = {**base.get(name, {}), **keys}
    return base


def run(spark: SparkSession, data: dict[str, Any]) -> RunSummary:
    return run_pipeline(spark, load_pipeline(data, environ={}), RunInfo(id="r1"))


def out(spark: SparkSession, folder: Path) -> list[Row]:
    return spark.read.parquet(str(folder / "out")).orderBy("id").collect()


def write_ids(spark: SparkSession, folder: Path, *ids: str | None) -> None:
    spark.createDataFrame([(each,) for each in ids], "id STRING").write.parquet(str(folder / "source"))


def ok(request: web.Request) -> web.Response:
    return web.json_response({"data": {"path": request.path, "n": 7}})


def test_many_partitions_share_one_pool_per_worker(spark: SparkSession, tmp_path: Path) -> None:
    """40 tasks on two workers with `limit: 10` open 20 connections, not 400."""
    write_source(tmp_path / "source", limit=2000)
    with run_in_thread("token", latency=(0.001, 0.005)) as (url, api):
        data = pipeline(
            tmp_path,
            url,
            source={"id": ["icao"]},
            endpoint={"path": "/v1/airports/${row.icao}", "headers": {"Authorization": "Bearer token"}},
            transport={"tcp_connection": {"limit": 10}},
            execution={"batch_size": 50},
        )
        summary = run(spark, data)

    assert (summary.rows_out, summary.ok) == (2000, 2000)
    assert api.stats.requests == summary.calls == 2000
    assert api.stats.connections <= 20


def test_answers_become_typed_columns(spark: SparkSession, tmp_path: Path) -> None:
    write_ids(spark, tmp_path, "a", "b c")
    with web_server(ok) as server:
        run(
            spark, pipeline(tmp_path, server.url, response={"select": "data", "schema": "path STRING, n INT"})
        )

    rows = out(spark, tmp_path)
    assert [(row.id, row.path, row.n) for row in rows] == [("a", "/items/a", 7), ("b c", "/items/b c", 7)]
    assert rows[0].http.outcome == "ok"
    assert rows[0].http.body is None


def test_body_and_listed_headers_are_kept_when_asked_for(spark: SparkSession, tmp_path: Path) -> None:
    write_ids(spark, tmp_path, "a")
    with web_server(lambda _: web.Response(text="plain", headers={"ETag": "x", "X-Other": "y"})) as server:
        run(spark, pipeline(tmp_path, server.url, response={"keep_body": True, "headers": ["etag"]}))

    http = out(spark, tmp_path)[0].http
    assert (http.body, http.headers) == ("plain", {"etag": "x"})


def test_refused_connection_is_one_row_with_one_attempt(spark: SparkSession, tmp_path: Path) -> None:
    write_ids(spark, tmp_path, "a")

    summary = run(spark, pipeline(tmp_path, f"http://127.0.0.1:{closed_port()}"))

    http = out(spark, tmp_path)[0].http
    assert (http.error_kind, http.outcome, http.sent, http.attempts) == (
        "connect_refused",
        "connect",
        "not_sent",
        1,
    )
    assert http.metadata["transport.warmup_error"] == "ClientConnectorError: ECONNREFUSED"
    assert (summary.rows_out, summary.failed, summary.calls) == (1, 1, 1)


def test_refused_connection_is_retried_with_retry(spark: SparkSession, tmp_path: Path) -> None:
    write_ids(spark, tmp_path, "a")
    retry = {"type": "retry", "max_attempts": 3, "base_delay": 0}

    summary = run(spark, pipeline(tmp_path, f"http://127.0.0.1:{closed_port()}", middleware=[retry]))

    http = out(spark, tmp_path)[0].http
    assert (http.error_kind, http.attempts, http.metadata["retry.stop"]) == ("connect_refused", 3, "attempts")
    assert (summary.calls, summary.retries) == (3, 2)


def test_404_is_no_success(spark: SparkSession, tmp_path: Path) -> None:
    write_ids(spark, tmp_path, "a")
    with web_server(lambda _: web.json_response({"n": 1}, status=404)) as server:
        summary = run(spark, pipeline(tmp_path, server.url, response={"schema": "n INT"}))

    row = out(spark, tmp_path)[0]
    assert (row.http.status, row.http.outcome, row.http.error_kind) == (404, "not_found", "http_status")
    assert row.n is None
    assert summary.outcomes == {"not_found": 1}


@pytest.mark.parametrize("body", ['{"data": {"n": "many"}}', '{"other": 1}', "[1]", "nonsense", ""])
def test_body_without_the_promised_columns_is_a_failure(
    spark: SparkSession, tmp_path: Path, body: str
) -> None:
    """Spark by itself would write a silent null."""
    write_ids(spark, tmp_path, "a")
    with web_server(lambda _: web.Response(text=body)) as server:
        run(spark, pipeline(tmp_path, server.url, response={"select": "data", "schema": "n INT"}))

    http = out(spark, tmp_path)[0].http
    assert (http.status, http.outcome, http.error_kind) == (200, "parse", "schema_mismatch")
    assert http.body == (body or None)  # it is paid for


def test_source_columns_of_every_type_pass_unchanged(spark: SparkSession, tmp_path: Path) -> None:
    source = spark.sql(
        """SELECT 'a' AS id, CAST(1.10 AS DECIMAL(10,2)) AS price, X'00FF' AS raw, ARRAY(1, NULL) AS list,
                  NAMED_STRUCT('x', 1) AS point, MAP('k', 2.5D) AS map, TIMESTAMP'2026-01-02 03:04:05' AS at,
                  DATE'2026-01-02' AS day, CAST(NULL AS INT) AS none, 'ü' AS `odd name`"""
    )
    source.write.parquet(str(tmp_path / "source"))
    with web_server(ok) as server:
        run(spark, pipeline(tmp_path, server.url))

    row = out(spark, tmp_path)[0]
    assert row.price == Decimal("1.10")
    assert row.asDict(recursive=True) == {
        **source.collect()[0].asDict(recursive=True),
        "http": row.http.asDict(),
    }


def test_values_of_rows_fill_in_query_headers_and_body(spark: SparkSession, tmp_path: Path) -> None:
    spark.sql("SELECT 'a' AS id, 3 AS n, NULL AS gone").write.parquet(str(tmp_path / "source"))
    endpoint = {
        "method": "POST",
        "params": {"n": "${row.n}"},
        "headers": {"X-Id": "id ${row.id}"},
        "json": {"n": "${row.n}", "text": "n=${row.n}", "gone": "${row.gone}"},
    }
    with web_server(ok) as server:
        run(spark, pipeline(tmp_path, server.url, endpoint=endpoint))

    assert server.paths == ["/items/a?n=3"]
    assert server.headers[0]["X-Id"] == "id a"
    assert server.bodies == [b'{"n":3,"text":"n=3","gone":null}']


def test_row_that_cannot_be_a_request_is_kept_and_not_sent(spark: SparkSession, tmp_path: Path) -> None:
    write_ids(spark, tmp_path, "a", "..")
    with web_server(ok) as server:
        summary = run(spark, pipeline(tmp_path, server.url))

    http = out(spark, tmp_path)[0].http
    assert (http.outcome, http.sent, http.attempts) == ("invalid_request", "not_sent", 0)
    assert server.paths == ["/items/a"]
    assert (summary.rows_out, summary.failed, summary.calls, summary.retries) == (2, 1, 1, 0)


def test_too_many_failures_publish_nothing_and_keep_the_answers(spark: SparkSession, tmp_path: Path) -> None:
    write_ids(spark, tmp_path, "a", "b")
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
    assert spark.read.parquet(*map(str, (tmp_path / "kept").glob("*/answers"))).count() == 2


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda rows: rows.limit(1), "1 rows came out of 2"),
        (lambda rows: rows.unionAll(rows.limit(1)), "3 rows came out of 2"),
        (lambda rows: rows.limit(1).unionAll(rows.limit(1)), "2 rows came with other ids"),
    ],
    ids=["lost", "doubled", "swapped"],
)
def test_rows_that_do_not_agree_with_the_input_are_not_published(
    spark: SparkSession,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    wrong: Callable[[DataFrame], DataFrame],
    message: str,
) -> None:
    """Nothing of ours does this; what if it did?"""
    write_ids(spark, tmp_path, "a", "b")
    monkeypatch.setattr(_run, "enrich", lambda rows, *rest: enrich(wrong(rows.orderBy("id")), *rest))
    with web_server(ok) as server, pytest.raises(RunError, match=message):
        run(spark, pipeline(tmp_path, server.url))

    assert not (tmp_path / "out").exists()


def test_the_fingerprint_of_ids_knows_multisets_and_no_order(spark: SparkSession) -> None:
    def facts(*ids: str) -> RowFacts:
        return row_facts(spark.createDataFrame([(each,) for each in ids], "id STRING"), ["id"])

    assert facts("a", "b", "c") == facts("c", "a", "b")
    assert facts("a", "a", "b").ids != facts("a", "b", "b").ids


def test_rows_that_are_not_published_are_seen_by_no_reader(spark: SparkSession, tmp_path: Path) -> None:
    """The folder of a failed run stands beside a partition of the table."""
    write_ids(spark, tmp_path, "a")
    status = iter([200, 500])
    with web_server(lambda _: web.Response(status=next(status))) as server:
        for day in ("2026-01-01", "2026-01-02"):
            sink = {"path": str(tmp_path / "table" / f"day={day}")}
            data = pipeline(tmp_path, server.url, sink=sink, execution={"max_error_rate": 0.5})
            if day == "2026-01-01":
                run(spark, data)
            else:
                with pytest.raises(RunError, match="kept in"):
                    run(spark, data)

    assert [str(row.day) for row in spark.read.parquet(str(tmp_path / "table")).collect()] == ["2026-01-01"]


def test_numbers_keep_all_their_digits(spark: SparkSession, tmp_path: Path) -> None:
    write_ids(spark, tmp_path, "a")
    body = '{"data": {"in": {"m": 12345678901234567890.12}}}'
    with web_server(lambda _: web.Response(text=body)) as server:
        response = {"select": "data.in", "schema": "m DECIMAL(30,2)"}
        run(spark, pipeline(tmp_path, server.url, response=response))

    assert out(spark, tmp_path)[0].m == Decimal("12345678901234567890.12")


def test_names_of_columns_may_be_odd(spark: SparkSession, tmp_path: Path) -> None:
    spark.sql("SELECT 'a' AS `i.d`, 'x' AS `p q`, 1 AS `b``t`").write.parquet(str(tmp_path / "source"))
    with web_server(ok) as server:
        data = pipeline(
            tmp_path,
            server.url,
            source={"id": ["i.d"]},
            endpoint={"path": "/${row.i.d}"},
            sink={"partition_by": ["p q"]},
        )
        summary = run(spark, data)

    assert (summary.ok, server.paths) == (1, ["/a"])
    assert set(spark.read.parquet(str(tmp_path / "out")).columns) == {"i.d", "b`t", "p q", "http"}


@pytest.mark.parametrize(
    "sink",
    [
        {"format": "csv"},  # cannot hold the struct
        {"format": "nonsense"},
        {"options": {"compression": "nonsense"}},
        {"partition_by": ["id", "http"]},
    ],
)
def test_a_sink_that_cannot_be_written_is_found_while_the_old_table_is_whole(
    spark: SparkSession, tmp_path: Path, sink: dict[str, Any]
) -> None:
    """Mode overwrite deletes first and writes then."""
    write_ids(spark, tmp_path, "a")
    write_ids(spark, tmp_path / "old", "kept")
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


def test_nothing_is_left_behind_after_publishing(spark: SparkSession, tmp_path: Path) -> None:
    write_ids(spark, tmp_path, "a")
    with web_server(ok) as server:
        run(spark, pipeline(tmp_path, server.url))

    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "source"]


def test_empty_source_publishes_an_empty_table(spark: SparkSession, tmp_path: Path) -> None:
    write_ids(spark, tmp_path, "a")
    with web_server(ok) as server:
        data = pipeline(tmp_path, server.url, source={"where": "id = 'none'"}, response={"schema": "n INT"})
        summary = run(spark, data)

    assert (summary.rows_in, summary.rows_out, server.paths) == (0, 0, [])
    assert spark.read.parquet(str(tmp_path / "out")).columns == ["id", "n", "http"]


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"source": {"id": ["ids"]}}, "source.id: no column 'ids'; did you mean 'id'"),
        ({"endpoint": {"path": "/${row.name}"}}, "endpoint: no column 'name'"),
        ({"sink": {"partition_by": ["day"]}}, "sink.partition_by: no column 'day'"),
        ({"response": {"schema": "id INT"}}, "the source has a column 'id' already; rename"),
        ({"response": {"schema": "a INT, A INT"}}, "response.schema has a column 'a' already"),
        ({"response": {"schema": "n INTEGERS"}}, "response.schema: "),
        (
            {"source": {"path": None, "query": "SELECT 'a' id, 1 __http_enrich_0"}},
            "names that begin with __http_enrich are ours",
        ),
        ({"source": {"path": "/no/such/folder"}}, "source: .*does not exist"),
        ({"source": {"where": "id = = 1"}}, "source: .*"),
        ({"source": {"where": "nope = 1"}}, "source: .*nope"),
    ],
)
def test_what_does_not_fit_is_said_before_anything_is_requested(
    spark: SparkSession, tmp_path: Path, sections: Sections, message: str
) -> None:
    write_ids(spark, tmp_path, "a")
    with web_server(ok) as server:
        with pytest.raises(RunError, match=message):
            run(spark, pipeline(tmp_path, server.url, **sections))

        assert server.paths == []


def test_existing_sink_is_found_before_anything_is_requested(spark: SparkSession, tmp_path: Path) -> None:
    write_ids(spark, tmp_path, "a")
    (tmp_path / "out").mkdir()
    with web_server(ok) as server:
        with pytest.raises(RunError, match="exists and mode is 'error'"):
            run(spark, pipeline(tmp_path, server.url))

        assert server.paths == []


def test_rows_without_an_id_are_refused_before_anything_is_requested(
    spark: SparkSession, tmp_path: Path
) -> None:
    write_ids(spark, tmp_path, "a", None)
    with web_server(ok) as server:
        with pytest.raises(RunError, match="1 rows have a null in id"):
            run(spark, pipeline(tmp_path, server.url))

        assert server.paths == []
    assert not (tmp_path / "_http_enrich").exists()


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
        for day, tag, this in [("1", "x", "append"), ("2", "old", "append"), ("2", "x", mode)]:
            data = pipeline(tmp_path, server.url, **sections)
            data["source"] = {"query": query.format(day=day, tag=tag), "id": ["id"]}
            data["sink"]["mode"] = this
            run(spark, data)

    rows = spark.table(table) if target == "table" else spark.read.parquet(str(tmp_path / "out"))
    found = sorted((str(row.day), row.tag) for row in rows.collect())
    assert found == expected
