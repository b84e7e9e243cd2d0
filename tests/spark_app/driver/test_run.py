"""Whole runs on a real Spark session against real servers on loopback."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
import yaml
from aiohttp import web
from pyspark.sql import DataFrame, SparkSession

from http_enrich_demo.airports import write_source
from http_enrich_demo.api import run_in_thread
from http_enrich_spark.config import Recipe, RunInfo
from http_enrich_spark.driver import RunError, _try, run_pipeline
from http_enrich_spark.driver._enrich import enrich
from http_enrich_spark.driver._facts import fingerprint
from tests.support.peer import closed_port
from tests.support.runs import Sections, ok, out, pipeline, run, write_ids
from tests.support.web import web_server


def test_a_table_of_the_catalog_is_a_source(spark: SparkSession, tmp_path: Path) -> None:
    spark.sql("CREATE TABLE airfields AS SELECT concat('r', id) AS id, id AS n FROM range(4)")
    try:
        with web_server(ok) as server:
            source = {"path": None, "table": "airfields", "where": "n > 1"}
            run(spark, pipeline(tmp_path, server.url, source=source))
    finally:
        spark.sql("DROP TABLE airfields")

    assert [(row.id, row.n) for row in out(spark, tmp_path)] == [("r2", 2), ("r3", 3)]


def test_files_with_options_are_a_source(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "airfields.csv").write_text("id;n\na;1\nb;2\n")
    with web_server(ok) as server:
        options = {"header": True, "sep": ";", "inferSchema": True}
        run(spark, pipeline(tmp_path, server.url, source={"format": "csv", "options": options}))

    assert [(row.id, row.n) for row in out(spark, tmp_path)] == [("a", 1), ("b", 2)]


def test_many_partitions_share_one_pool_per_worker(spark: SparkSession, tmp_path: Path) -> None:
    """40 tasks on two workers with `limit: 10` open 20 connections, not 400."""
    write_source(tmp_path / "source", limit=2000)
    (tmp_path / "token").write_text("token")
    headers = {"Authorization": f"Bearer ${{file.{tmp_path}/token}}"}
    with run_in_thread("token", latency=(0.001, 0.005)) as (url, api):
        data = pipeline(
            tmp_path,
            url,
            source={"id": ["icao"]},
            endpoint={"path": "/v1/airports/${row.icao}", "headers": headers},
            transport={"tcp_connection": {"limit": 10}},
            execution={"batch_size": 50},
        )
        summary = run(spark, data)

    assert (summary.rows_out, summary.ok) == (2000, 2000)
    assert api.stats.requests == summary.calls == 2000
    assert api.stats.connections <= 20


def test_answers_become_typed_columns(spark: SparkSession, tmp_path: Path) -> None:
    write_ids(tmp_path, "a", "b c")
    with web_server(ok) as server:
        run(
            spark, pipeline(tmp_path, server.url, response={"select": "data", "schema": "path STRING, n INT"})
        )

    rows = out(spark, tmp_path)
    assert [(row.id, row.path, row.n) for row in rows] == [("a", "/items/a", 7), ("b c", "/items/b c", 7)]
    assert rows[0].http.outcome == "ok"
    assert rows[0].http.body is None


def test_body_and_listed_headers_are_kept_when_asked_for(spark: SparkSession, tmp_path: Path) -> None:
    write_ids(tmp_path, "a")
    with web_server(lambda _: web.Response(text="plain", headers={"ETag": "x", "X-Other": "y"})) as server:
        run(spark, pipeline(tmp_path, server.url, response={"keep_body": True, "headers": ["etag"]}))

    http = out(spark, tmp_path)[0].http
    assert (http.body, http.headers) == ("plain", {"etag": "x"})


def test_refused_connection_is_one_row_with_one_attempt(spark: SparkSession, tmp_path: Path) -> None:
    write_ids(tmp_path, "a")

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
    write_ids(tmp_path, "a")
    retry = {"type": "retry", "max_attempts": 3, "base_delay": 0}

    summary = run(spark, pipeline(tmp_path, f"http://127.0.0.1:{closed_port()}", middleware=[retry]))

    http = out(spark, tmp_path)[0].http
    assert (http.error_kind, http.attempts, http.metadata["retry.stop"]) == ("connect_refused", 3, "attempts")
    assert (summary.calls, summary.retries) == (3, 2)


def test_404_is_no_success(spark: SparkSession, tmp_path: Path) -> None:
    write_ids(tmp_path, "a")
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
    write_ids(tmp_path, "a")
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
    write_ids(tmp_path, "a", "..")
    with web_server(ok) as server:
        summary = run(spark, pipeline(tmp_path, server.url))

    http = out(spark, tmp_path)[0].http
    assert (http.outcome, http.sent, http.attempts) == ("invalid_request", "not_sent", 0)
    assert server.paths == ["/items/a"]
    assert (summary.rows_out, summary.failed, summary.calls, summary.retries) == (2, 1, 1, 0)


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
    write_ids(tmp_path, "a", "b")
    monkeypatch.setattr(_try, "enrich", lambda rows, *rest: enrich(wrong(rows.orderBy("id")), *rest))
    with web_server(ok) as server, pytest.raises(RunError, match=message):
        run(spark, pipeline(tmp_path, server.url))

    assert not (tmp_path / "out").exists()


def test_the_fingerprint_of_ids_knows_multisets_and_no_order(spark: SparkSession) -> None:
    def facts(*ids: str) -> object:
        rows = spark.createDataFrame([(each,) for each in ids], "id STRING")
        return rows.agg(fingerprint(["id"])).collect()

    assert facts("a", "b", "c") == facts("c", "a", "b")
    assert facts("a", "a", "b") != facts("a", "b", "b")


def test_numbers_keep_all_their_digits(spark: SparkSession, tmp_path: Path) -> None:
    write_ids(tmp_path, "a")
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
    write_ids(tmp_path, "a")
    with web_server(ok) as server:
        with pytest.raises(RunError, match=message):
            run(spark, pipeline(tmp_path, server.url, **sections))

        assert server.paths == []


def test_rows_without_an_id_are_refused_before_anything_is_requested(
    spark: SparkSession, tmp_path: Path
) -> None:
    write_ids(tmp_path, "a", None)
    with web_server(ok) as server:
        with pytest.raises(RunError, match="1 rows have a null or NaN in id"):
            run(spark, pipeline(tmp_path, server.url))

        assert server.paths == []
    assert not (tmp_path / "_http_enrich").exists()


def test_a_run_that_was_given_up_publishes_nothing_and_says_why(spark: SparkSession, tmp_path: Path) -> None:
    """However few rows it was: whoever reads the table would take them for answered."""
    write_ids(tmp_path, *map(str, range(40)))
    breaker = {"type": "circuit_breaker", "min_requests": 2, "open_for": 0.01, "max_open": 0.01}
    with web_server(lambda _: web.json_response({}, status=503)) as server:
        data = pipeline(
            tmp_path, server.url, middleware=[breaker], execution={"concurrency": 2, "max_error_rate": 1}
        )
        with pytest.raises(
            RunError,
            match=r"^the API is in trouble; .*: gave up: http\S+ has been failing for .*\(HTTP status 503\)",
        ) as caught:
            run(spark, data)

    assert "of 40 rows were given up; nothing was published)" in str(caught.value)
    assert (caught.value.kind, caught.value.retry) == ("outage", True)
    assert not (tmp_path / "out").exists()


def test_what_does_not_fit_is_found_in_the_file(spark: SparkSession, tmp_path: Path) -> None:
    write_ids(tmp_path, "a")
    data = pipeline(tmp_path, "http://127.0.0.1:9", source={"id": ["idd"]})
    text = yaml.safe_dump(data, sort_keys=False)
    line = text.splitlines().index("  id:") + 1
    recipe = Recipe("airports.yaml", text, {}, RunInfo(id="r1"))

    with pytest.raises(RunError, match=rf"^airports.yaml:{line}:3: source.id: no column 'idd'; did you mean"):
        run_pipeline(spark, recipe.load({}), recipe.run, recipe=recipe)
