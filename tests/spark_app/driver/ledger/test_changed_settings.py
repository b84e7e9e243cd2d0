"""What a try makes of the answers of one with other settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from pyspark.sql import SparkSession

from http_enrich_spark.driver import RunError
from http_enrich_spark.driver.ledger import Epoch
from tests.support.dying import dies_after
from tests.support.runs import Sections, asked, ok, out, pipeline, run, write_ids
from tests.support.web import web_server


def test_a_schema_that_was_wrong_is_mended_without_a_request(spark: SparkSession, tmp_path: Path) -> None:
    """The bodies are kept until the table is published."""
    write_ids(tmp_path, "a")

    def data(schema: str) -> dict[str, Any]:
        response = {"select": "data", "schema": schema}
        return pipeline(tmp_path, server.url, response=response, execution={"max_error_rate": 0})

    with web_server(ok) as server:
        with pytest.raises(RunError, match="schema_mismatch"):
            run(spark, data("n BOOLEAN"))
        summary = run(spark, data("n INT"))

    assert (asked(server.paths), summary.ok, out(spark, tmp_path)[0].n) == ({"a": 1}, 1, 7)


def test_answers_that_fit_no_schema_are_asked_for_again_by_a_try_with_the_same_one(
    spark: SparkSession, tmp_path: Path
) -> None:
    """An API may answer with something else for an hour; then the schema was right all the time."""
    write_ids(tmp_path, "a", "b", "c", "d")
    data: dict[str, Any] = {"n": 7}

    def api(request: web.Request) -> web.Response:
        odd = request.path[-1] in "ab"
        return web.json_response({"data": data if odd else {"n": 7}})

    def with_schema(schema: str) -> dict[str, Any]:
        response = {"select": "data", "schema": schema}
        return pipeline(tmp_path, server.url, response=response, execution={"max_error_rate": 0.1})

    with web_server(api) as server:
        data = {"n": "busy"}
        with pytest.raises(RunError, match="schema_mismatch"):
            run(spark, with_schema("n INT"))
        with dies_after(Epoch, "write"):
            run(spark, with_schema("n INT"))  # it asks again, and gets the same
        with pytest.raises(RunError, match="schema_mismatch"):
            run(spark, with_schema("n BOOLEAN"))  # a look at what is there
        with pytest.raises(RunError, match="schema_mismatch"):
            run(spark, with_schema("n INT"))  # and another one
        data = {"n": 8}
        summary = run(spark, with_schema("n INT"))

    assert asked(server.paths) == {"a": 3, "b": 3, "c": 1, "d": 1}
    assert (summary.ok, summary.rows_out, summary.resumed) == (4, 4, 2)
    assert [row.n for row in out(spark, tmp_path)] == [8, 8, 7, 7]


@pytest.mark.parametrize(
    ("changed", "calls"),
    [
        ({"endpoint": {"params": {"lang": "en"}}}, 2),
        ({"endpoint": {"path": "/other/${row.id}"}}, 2),
        ({"response": {"headers": ["etag"]}}, 2),
        ({"transport": {"base_timeout": 7}}, 1),
        ({"execution": {"batch_size": 3}}, 1),
        ({"sink": {"mode": "overwrite"}}, 1),
    ],
)
def test_settings_that_change_an_answer_start_afresh_and_others_go_on(
    spark: SparkSession,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    changed: Sections,
    calls: int,
) -> None:
    write_ids(tmp_path, "a")
    with web_server(ok) as server:
        with dies_after(Epoch, "write"):
            run(spark, pipeline(tmp_path, server.url))
        run(spark, pipeline(tmp_path, server.url, **changed))

    assert len(server.paths) == calls
    section, keys = next(iter(changed.items()))
    said = [text for text in caplog.messages if text.startswith(f"{section}.{next(iter(keys))}")]
    assert [text.partition("changed since")[2] for text in said] == [
        " the last try, so this one starts afresh"
    ] * (calls - 1)


def test_what_a_try_with_other_settings_has_done_in_between_is_not_done_again(
    spark: SparkSession, tmp_path: Path
) -> None:
    """Settings that were changed and changed back go on with the answers from before."""
    write_ids(tmp_path, *(f"{n:03}" for n in range(60)))
    with web_server(ok) as server:
        first = pipeline(tmp_path, server.url)
        for data in (first, pipeline(tmp_path, server.url, endpoint={"params": {"lang": "en"}})):
            with dies_after(Epoch, "write"):
                run(spark, data)
        summary = run(spark, first)

    assert (len(server.paths), summary.resumed, summary.redone) == (120, 60, 0)


def test_rate_limit_and_retry_may_change_between_two_tries(spark: SparkSession, tmp_path: Path) -> None:
    write_ids(tmp_path, "a")
    with web_server(ok) as server:
        with dies_after(Epoch, "write"):
            run(spark, pipeline(tmp_path, server.url))
        steps = [{"type": "retry"}, {"type": "rate_limit", "max_requests_per_second": 5}]
        run(spark, pipeline(tmp_path, server.url, middleware=steps))

    assert len(server.paths) == 1
