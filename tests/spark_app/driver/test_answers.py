"""What Spark makes of answers that nobody would send, and of those that a rule has judged."""

from __future__ import annotations

import itertools
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from pyspark.sql import SparkSession

from http_enrich_spark.driver import RunError
from tests.support.deadline import within
from tests.support.runs import out, pipeline, run, write_ids
from tests.support.web import web_server

DIGITS = "9" * 5000

# Per body: what becomes of a row by itself and behind json_body, where that is another thing.
BODIES: dict[str, tuple[bytes, str, str]] = {
    "fine": (b'{"n": "1", "t": "x"}', "ok", "ok"),
    "empty": (b"", "schema_mismatch", "json_invalid"),
    "html": (b"<html><body>502</body></html>", "schema_mismatch", "json_invalid"),
    "cut": (b'{"n": 1, "t": "x', "schema_mismatch", "json_invalid"),
    "lines": (b'{"n": 1}\n{"n": 2}', "ok", "json_invalid"),
    "nan": (b'{"n": 1, "x": NaN}', "ok", "json_invalid"),
    "huge": (b'{"n": 1, "x": 1e999}', "ok", "json_number"),
    "digits": (b'{"n": 1, "x": %s}' % DIGITS.encode(), "schema_mismatch", "json_number"),
    "digits-n": (b'{"n": %s}' % DIGITS.encode(), "schema_mismatch", "json_number"),
    "int128": (b'{"n": 1, "t": 170141183460469231731687303715884105728}', "ok", "ok"),
    "deep": (b'{"n": 1, "x": ' + b"[" * 200_000 + b"]" * 200_000 + b"}", "schema_mismatch", "json_too_deep"),
    "deep-499": (b'{"n": 1, "t": ' + b"[" * 499 + b"]" * 499 + b"}", "ok", "ok"),
    "twice": (b'{"n": 1, "n": 2}', "ok", "ok"),
    "mark": (b'\xef\xbb\xbf{"n": 1}', "schema_mismatch", "json_encoding"),
    "utf-16": ('{"n": 1}'.encode("utf-16"), "schema_mismatch", "json_encoding"),
    "latin-1": ('{"n": 1, "t": "Höfn"}'.encode("latin-1"), "ok", "json_encoding"),
    "half": (b'{"n": 1, "t": "a\\ud800b"}', "ok", "json_encoding"),
    "half-key": (b'{"n": 1, "\\udc00": 1}', "ok", "json_encoding"),
    "zero": (b'{"n": 1, "t": "a\\u0000b"}', "ok", "ok"),
    "raw-zero": (b'{"n": 1, "t": "a\0b"}', "schema_mismatch", "json_invalid"),
    "large": (b'{"n": 1, "t": "' + b"x" * 9_000_000 + b'"}', "ok", "ok"),
    "long-key": (b'{"n": 1, "' + b"k" * 60_000 + b'": 1}', "schema_mismatch", "schema_mismatch"),
    # J9: the API has changed its mind about a type.
    "text": (b'{"n": "many"}', "schema_mismatch", "schema_mismatch"),
    "array": (b'{"n": [1]}', "schema_mismatch", "schema_mismatch"),
    "object": (b'{"n": {"n": 1}}', "schema_mismatch", "schema_mismatch"),
    "missing": (b'{"m": 1}', "ok", "ok"),
    "null": (b"null", "schema_mismatch", "schema_mismatch"),
    # Numbers that Spark by itself would still be at work on.
    "endless": (b'{"n": 1e99999999}', "schema_mismatch", "json_number"),
    "endless-small": (b'{"n":\n-1.5E-99999999}', "schema_mismatch", "schema_mismatch"),
    "endless-text": (b'{"n" : "1e99999999"}', "schema_mismatch", "schema_mismatch"),
    "endless-digits": (b'{"n": "' + b"9" * 9_000_000 + b'"}', "schema_mismatch", "schema_mismatch"),
    "endless-element": (b'{"n": 1, "d": ["1e99999999"]}', "schema_mismatch", "schema_mismatch"),
    "not-endless": (b'{"n": 1.5e+2, "t": "id: 12e4567890"}', "ok", "ok"),
}


def hostile(request: web.Request) -> web.Response:
    return web.Response(body=BODIES[request.path.rpartition("/")[2]][0], content_type="application/json")


@pytest.mark.parametrize("middleware", [[], [{"type": "json_body"}]], ids=["alone", "json_body"])
def test_no_body_costs_more_than_its_row(
    spark: SparkSession, tmp_path: Path, middleware: list[dict[str, Any]]
) -> None:
    """Every row comes out with its status, in a time that has an end, and says what is wrong with it."""
    write_ids(tmp_path, *BODIES)
    schema = {"schema": "n DECIMAL(38,2), t STRING, d ARRAY<DECIMAL(10,2)>"}
    with web_server(hostile) as server:
        data = pipeline(tmp_path, server.url, middleware=middleware, response=schema)
        summary = within(300, lambda: run(spark, data))

    rows = {row.id: row for row in out(spark, tmp_path)}
    found = {name: row.http.error_kind or row.http.outcome for name, row in rows.items()}
    assert found == {name: each[2 if middleware else 1] for name, each in BODIES.items()}
    assert {row.http.status for row in rows.values()} == {200}
    assert summary.failed == sum(row.http.outcome == "parse" for row in rows.values())
    assert (rows["twice"].n, rows["not-endless"].n) == (Decimal(2), Decimal(150))
    assert (rows["zero"].t, len(rows["large"].t)) == ("a\0b", 9_000_000)
    assert rows["cut"].http.body == '{"n": 1, "t": "x'


@pytest.mark.parametrize(("type", "n"), [("INT", None), ("LONG", 2**40), ("DECIMAL(20,0)", Decimal(2**40))])
def test_a_number_too_large_for_its_column_is_no_silent_null(
    spark: SparkSession, tmp_path: Path, type: str, n: Any
) -> None:
    write_ids(tmp_path, "40", "70")
    with web_server(lambda r: web.json_response({"n": 2 ** int(r.path[-2:])})) as server:
        data = pipeline(
            tmp_path, server.url, middleware=[{"type": "json_body"}], response={"schema": f"n {type}"}
        )
        run(spark, data)

    small, large = out(spark, tmp_path)
    assert (small.n, small.http.error_kind) == (n, None if n else "schema_mismatch")
    assert (large.n, large.http.error_kind) == (None, "schema_mismatch")


def test_what_a_rule_ignores_is_neither_read_nor_failed(spark: SparkSession, tmp_path: Path) -> None:
    write_ids(tmp_path, "200", "404", "410", "500")
    rules = [
        {"status": 404, "action": "ignore"},
        {"status": 410, "action": "success"},
        {"status": 500, "action": "fail_row", "message": "the API is tired"},
    ]
    data = pipeline(
        tmp_path,
        "",
        middleware=[{"type": "json_body"}, {"type": "response_rules", "rules": rules}],
        response={"schema": "n INT"},
        execution={"max_error_rate": 0.34},
    )
    with web_server(lambda r: web.json_response({"n": 7}, status=int(r.path[-3:]))) as server:
        data["endpoint"]["base_url"] = server.url
        summary = run(spark, data)

    rows = out(spark, tmp_path)
    assert [(row.n, row.http.outcome, row.http.status, row.http.error) for row in rows] == [
        (7, "ok", 200, None),
        (None, "ignored", 404, None),
        (7, "ok", 410, None),
        (None, "rule", 500, "the API is tired"),
    ]
    assert (summary.ok, summary.failed, summary.ignored, summary.rows_out) == (2, 1, 1, 4)


def test_a_run_of_which_everything_is_ignored_has_not_failed(spark: SparkSession, tmp_path: Path) -> None:
    write_ids(tmp_path, "a")
    rules = {"type": "response_rules", "rules": [{"status": 404, "action": "ignore"}]}
    data = pipeline(tmp_path, "", middleware=[rules], execution={"max_error_rate": 0})
    with web_server(lambda _: web.Response(status=404)) as server:
        data["endpoint"]["base_url"] = server.url
        summary = run(spark, data)

    assert (summary.ignored, summary.failed) == (1, 0)


def test_a_rule_ends_the_run_and_says_why(spark: SparkSession, tmp_path: Path) -> None:
    """Its worker sends no further request, and the next try asks for what was given up."""
    write_ids(tmp_path, *[f"{n:03}" for n in range(200)])
    blocked = itertools.chain([False] * 5, [True] * 1, itertools.repeat(False))
    rules = {"status": 403, "action": "fail_run", "message": "the account is blocked"}
    with web_server(lambda _: web.Response(status=403 if next(blocked) else 200)) as server:
        data = pipeline(
            tmp_path,
            server.url,
            middleware=[{"type": "retry"}, {"type": "response_rules", "rules": [rules]}],
            execution={"concurrency": 1, "batch_size": 10, "checkpoint": str(tmp_path / "kept")},
        )
        started = time.monotonic()
        reason = r"^the account is blocked \([0-9]+ of 200 rows were given up; nothing was published\)"
        with pytest.raises(RunError, match=reason) as caught:
            run(spark, data)
        asked = len(server.paths)
        answers = spark.read.parquet(*map(str, (tmp_path / "kept").glob("*/epoch=1")))
        stopped = answers.where("http.outcome = 'stopped'").select("http.*").collect()
        rows = answers.count()
        summary = run(spark, data)

    assert time.monotonic() - started < 120
    assert "Nothing is lost: answers are kept in" in str(caught.value)
    # The one that ended it was sent; others that were given up are not even written.
    assert asked == rows - len(stopped) + 1
    assert {(row.error_kind, row.error) for row in stopped} == {("run_stopped", "the account is blocked")}
    assert (summary.ok, summary.rows_out) == (200, 200)
    assert len(server.paths) == 201


def test_failures_beside_a_rule_that_ends_the_run_are_not_taken_for_the_reason(
    spark: SparkSession, tmp_path: Path
) -> None:
    write_ids(tmp_path, *map(str, range(20)))
    statuses = itertools.chain([503] * 3, itertools.repeat(403))
    rules = {"status": 403, "action": "fail_run", "message": "the account is blocked"}
    with web_server(lambda _: web.Response(status=next(statuses))) as server:
        steps = [{"type": "response_rules", "rules": [rules]}]
        data = pipeline(tmp_path, server.url, middleware=steps, execution={"concurrency": 1})
        with pytest.raises(RunError, match=r"^the account is blocked \(") as caught:
            run(spark, data)

    assert (caught.value.retry, caught.value.kind) == (False, "stopped")
