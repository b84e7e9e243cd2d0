"""Arrow batches in, the same rows with their answers out."""

from __future__ import annotations

import datetime as dt
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow as pa
import pytest

from http_enrich_middleware import WorkerRuntime
from http_enrich_spark.coordinator import Coordinator, Stop
from http_enrich_spark.worker import EnrichBatches, WorkerPlan, WorkerResourceManager
from tests.support.deadline import within
from tests.support.pipelines import load

HTTP = pa.struct(
    [
        ("status", pa.int32()),
        ("outcome", pa.string()),
        ("error_kind", pa.string()),
        ("error", pa.string()),
        ("sent", pa.string()),
        ("attempts", pa.int32()),
        ("elapsed_ms", pa.float64()),
        ("requested_at", pa.timestamp("us", tz="UTC")),
        ("idempotency_key", pa.string()),
        ("body", pa.string()),
        ("headers", pa.map_(pa.string(), pa.string())),
        ("metadata", pa.map_(pa.string(), pa.string())),
    ]
)


def enrich(
    batches: Sequence[pa.RecordBatch] | Iterator[pa.RecordBatch],
    api: str = "unordered",
    *,
    environ: Mapping[str, str] | None = None,
    **changes: Any,
) -> list[pa.RecordBatch]:
    """Enrich *batches* by the function *api* of `tests.support.api`."""
    blocks = {
        "transport": {"engine": "memory", "handler": f"tests.support.api:{api}"},
        "response.keep_body": True,
    }
    written = {key.replace("__", "."): value for key, value in changes.items()}
    incoming = list(batches)
    names = incoming[0].schema.names if incoming else ["icao"]
    plan = WorkerPlan.of(load(blocks | written, environ))
    try:
        return within(60, lambda: list(EnrichBatches(plan, names)(iter(incoming))))
    finally:
        WorkerResourceManager.get(plan).close()


def wait_until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not so after {seconds} s"
        time.sleep(0.01)


def rows(batches: list[pa.RecordBatch]) -> list[dict[str, Any]]:
    return [row for batch in batches for row in batch.to_pylist()]


def airports(start: int, stop: int) -> pa.RecordBatch:
    """Return airports whose other columns say again which they are."""
    numbers = range(start, stop)
    return pa.RecordBatch.from_pydict(
        {
            "icao": [f"X{n:04}" for n in numbers],
            "number": pa.array(numbers, pa.int64()),
            "nested": [{"n": n, "all": [str(n), None]} for n in numbers],
            "gap": pa.array([None if n % 3 else n for n in numbers], pa.int32()),
        }
    )


def test_every_row_comes_out_once_with_its_own_answer() -> None:
    batches = [airports(0, 300), airports(300, 301), airports(301, 700)]

    found = rows(enrich(batches, execution__concurrency=16))

    assert [row["icao"] for row in found] != sorted(row["icao"] for row in found)  # they did finish unordered
    assert sorted(row["icao"] for row in found) == [f"X{n:04}" for n in range(700)]
    assert {row["http"]["body"] for row in found} == {f"https://api.test/v1/X{n:04}" for n in range(700)}
    assert all(row["http"]["body"].endswith(row["icao"]) for row in found)


def test_source_columns_come_out_as_they_went_in() -> None:
    batches = [airports(0, 100), airports(100, 250)]
    found = enrich(batches, execution__concurrency=8)
    table = pa.Table.from_batches(found).sort_by("number")

    assert table.drop_columns(["http"]).equals(pa.Table.from_batches(batches))


def test_the_http_column_is_the_documented_one() -> None:
    (batch,) = enrich([airports(0, 1)])

    assert batch.schema.names[-1] == "http"
    assert batch.schema.field("http").type == HTTP


def test_an_answer_fills_the_http_column() -> None:
    before = dt.datetime.now(dt.UTC)
    (row,) = rows(enrich([airports(7, 8)]))
    http = row["http"]

    assert (http["status"], http["outcome"], http["sent"], http["attempts"]) == (200, "ok", "responded", 1)
    assert (http["error_kind"], http["error"], http["idempotency_key"]) == (None, None, None)
    assert before <= http["requested_at"] <= dt.datetime.now(dt.UTC)
    assert 0 <= http["elapsed_ms"] < 60_000


def test_a_key_is_taken_out_of_an_answer_and_a_login_is_not() -> None:
    """The API answers with the address; a login may be any word of it, and what was paid for stays whole."""
    connection = {"login": "api.test", "password": "canary/7"}
    environ = {"AIRFLOW_CONN_API": json.dumps(connection)}
    basic = {"type": "basic", "username": "${conn.api.login}", "password": "${conn.api.password}"}
    params = {"key": "${conn.api.password}"}
    (row,) = rows(enrich([airports(1, 2)], environ=environ, middleware=[basic], endpoint__params=params))

    assert row["http"]["body"] == "https://api.test/v1/X0001?key=***"


def test_failures_are_rows_too() -> None:
    """A network or peer fault must never fail a task."""
    batch = pa.RecordBatch.from_pydict({"icao": ["200", "404", "503", "0"]})

    found = {row["icao"]: row["http"] for row in rows(enrich([batch], "statuses"))}

    assert {key: (http["outcome"], http["error_kind"], http["sent"]) for key, http in found.items()} == {
        "200": ("ok", None, "responded"),
        "404": ("not_found", "http_status", "responded"),
        "503": ("server_error", "http_status", "responded"),
        "0": ("connect", "connect_refused", "not_sent"),
    }
    assert found["404"]["error"] == "HTTP status 404"


def test_an_engine_that_raises_costs_its_rows_only() -> None:
    found = rows(enrich([airports(0, 5)], "broken"))

    assert [row["http"]["outcome"] for row in found] == ["internal"] * 5


def test_middleware_takes_part() -> None:
    batch = pa.RecordBatch.from_pydict({"icao": ["503"]})
    retry = {"type": "retry", "max_attempts": 3, "base_delay": 0}

    (row,) = rows(enrich([batch], "statuses", middleware=[retry]))

    assert row["http"]["attempts"] == 3
    assert ("retry.stop", "attempts") in row["http"]["metadata"]


def test_a_run_that_was_given_up_sends_nothing_and_waits_for_nothing() -> None:
    """A limit of one row per hour must not keep rows waiting that nobody will send."""
    batch = pa.RecordBatch.from_pydict({"icao": ["403", *["200"] * 50]})
    rule = {"status": 403, "action": "fail_run", "message": "the key is blocked"}
    middleware = [
        {"type": "rate_limit", "rates": [{"limit": 1, "per": "1h"}]},
        {"type": "response_rules", "rules": [rule]},
    ]

    found = rows(enrich([batch], "statuses", middleware=middleware, execution__concurrency=1))

    https = [row["http"] for row in found]
    assert {(http["outcome"], http["error_kind"], http["error"]) for http in https} == {
        ("stopped", "run_stopped", "the key is blocked")
    }
    # The others are as if never begun: the next try asks for them.
    assert [(http["attempts"], http["sent"]) for http in https] == [(1, "responded")]


def test_a_run_that_the_driver_stops_ends_although_its_rows_wait_for_tomorrow() -> None:
    """Those that have their answers keep them, and one of the others says why there are no more."""
    quota = {"type": "rate_limit", "rates": [{"limit": 3, "per": "1d"}], "scope": "worker"}
    blocks = {"transport": {"engine": "memory", "handler": "tests.support.api:unordered"}}
    config = load(blocks | {"middleware": [quota], "execution.concurrency": 20})
    batch = airports(0, 100)

    with Coordinator([], host="127.0.0.1", slots=1, runtime=WorkerRuntime()) as driver:
        plan = WorkerPlan.of(config, link=driver.link)
        output = EnrichBatches(plan, batch.schema.names)(iter([batch]))
        with ThreadPoolExecutor(1) as task:
            enriched = task.submit(lambda: list(output))
            wait_until(lambda: driver.totals().rows == 3)
            driver.stop(Stop("execution.deadline is over"))
            found = rows(enriched.result(timeout=60))
            wait_until(lambda: driver.totals().outcomes.get("stopped") == 97)
        WorkerResourceManager.get(plan).close()

    ends = Counter((row["http"]["outcome"], row["http"]["attempts"], row["http"]["error"]) for row in found)
    assert ends == {("ok", 1, None): 3, ("stopped", 0, "execution.deadline is over"): 1}
    assert driver.totals().calls == 3


# Rows that make no request.


def test_a_row_that_makes_no_request_says_why_and_sends_nothing() -> None:
    batch = pa.RecordBatch.from_pydict({"icao": ["a", None, "..", "", "b"]})

    found = {row["icao"]: row["http"] for row in rows(enrich([batch]))}

    assert found["a"]["outcome"] == found["b"]["outcome"] == "ok"
    for refused in (None, "..", ""):
        http = found[refused]
        assert (http["outcome"], http["error_kind"]) == ("invalid_request", "invalid_request")
        assert (http["sent"], http["attempts"], http["status"], http["body"]) == ("not_sent", 0, None, None)
        assert http["error"].startswith("column icao ")


@pytest.mark.parametrize(
    "values",
    [
        pa.array([float("nan"), float("inf")]),
        pa.array([b"a", b"\xff"]),
        pa.array([["a"], []]),
        pa.array([{"a": 1}, {"a": 2}]),
        pa.array([None, None]),
    ],
    ids=["float", "binary", "list", "struct", "null"],
)
def test_a_column_of_the_wrong_type_costs_its_rows_only(values: pa.Array) -> None:
    found = rows(enrich([pa.RecordBatch.from_arrays([values], names=["icao"])]))

    assert [row["http"]["outcome"] for row in found] == ["invalid_request"] * 2


# Batches of every shape.


def test_a_partition_without_batches_has_none() -> None:
    assert enrich([]) == []


def test_an_empty_batch_has_no_rows() -> None:
    found = rows(enrich([airports(0, 0), airports(0, 2), airports(2, 2)]))

    assert sorted(row["icao"] for row in found) == ["X0000", "X0001"]


def test_a_request_may_need_no_column() -> None:
    found = rows(enrich([airports(0, 3)], endpoint__path="/ping"))

    assert [row["http"]["body"] for row in found] == ["https://api.test/ping"] * 3
    assert sorted(row["icao"] for row in found) == ["X0000", "X0001", "X0002"]


def test_batches_may_be_slices_of_others() -> None:
    """Arrow slices share memory and have an offset."""
    whole = airports(0, 100)

    found = rows(enrich([whole.slice(90, 5), whole.slice(10, 5)]))

    assert {row["icao"]: row["http"]["body"][-5:] for row in found} == {
        f"X{n:04}": f"X{n:04}" for n in (*range(90, 95), *range(10, 15))
    }


def test_the_same_batch_may_come_twice() -> None:
    batch = airports(0, 10)

    found = rows(enrich([batch, batch]))

    assert sorted(row["icao"] for row in found) == sorted([f"X{n:04}" for n in range(10)] * 2)


def test_columns_are_found_in_any_order_and_case() -> None:
    """Spark's names have no case; the files it reads them from do."""
    batch = pa.RecordBatch.from_pydict({"other": [1], "Country": ["IS"], "ICAO": ["BIRK"]})

    (row,) = rows(enrich([batch], endpoint__path="/${row.icao}/${row.COUNTRY}/${row.icao}"))

    assert row["http"]["body"] == "https://api.test/BIRK/IS/BIRK"


def test_batches_are_read_while_others_are_in_flight() -> None:
    """Ten times as many rows must not need ten times the memory."""
    taken = 0

    def batches() -> Iterator[pa.RecordBatch]:
        nonlocal taken
        for start in range(0, 10_000, 100):
            taken += 1
            yield airports(start, start + 100)

    plan = WorkerPlan.of(
        load(
            {
                "transport": {"engine": "memory", "handler": "tests.support.api:unordered"},
                "execution.concurrency": 5,
            }
        )
    )
    output = EnrichBatches(plan, airports(0, 0).schema.names)(batches())
    within(60, lambda: next(output))
    ahead = taken
    output.close()  # type: ignore[attr-defined]
    WorkerResourceManager.get(plan).close()

    assert ahead <= 11  # batches of a hundred for the thousand that leave together, and three times five rows


# Answers that Arrow could not store as they are.


def test_bytes_that_are_no_text_do_not_fail_the_batch() -> None:
    """One such answer would fail the task four times, and then the run."""
    found = rows(enrich([airports(0, 3)], "hostile", response__headers=["x-name", "X-Other", "X-Missing"]))

    assert [row["http"]["outcome"] for row in found] == ["ok"] * 3
    assert {row["http"]["body"] for row in found} == {"ok \ufffd\ufffd \ufffd\ufffd\ufffd"}
    assert found[0]["http"]["headers"] == [("x-name", "caf? ?"), ("x-other", "fine")]


def test_an_error_that_is_no_text_does_not_fail_the_batch() -> None:
    (row,) = rows(enrich([airports(0, 1)], "hostile_error"))

    assert (row["http"]["error_kind"], row["http"]["error"]) == ("reset", "peer said ?")


def test_only_the_headers_asked_for_are_kept() -> None:
    (row,) = rows(enrich([airports(0, 1)], "hostile"))

    assert row["http"]["headers"] == []


def test_a_body_that_nobody_wants_is_not_kept() -> None:
    assert {row["http"]["body"] for row in rows(enrich([airports(0, 3)], response__keep_body=False))} == {
        None
    }


def test_large_bodies_leave_in_several_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """One Arrow column holds 2 GiB at most; here the limit is small."""
    monkeypatch.setattr("http_enrich_spark.worker._enrich.MAX_BATCH_CHARACTERS", 1)

    output = enrich([airports(0, 5)])

    assert [batch.num_rows for batch in output] == [1] * 5
    assert len(rows(output)) == 5


def test_finished_rows_leave_a_thousand_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Arrow and Spark take as long for a small batch as for a larger one."""
    monkeypatch.setattr("http_enrich_spark.worker._enrich.GATHER_SECONDS", float("inf"))

    output = enrich([airports(0, 2500)], execution__concurrency=16)

    assert [batch.num_rows // 1000 for batch in output] == [1, 1, 0]
    assert len(rows(output)) == 2500


def test_finished_rows_do_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("http_enrich_spark.worker._enrich.GATHER_SECONDS", 0)

    output = enrich([airports(0, 100)], execution__concurrency=5)

    assert len(output) > 1
    assert len(rows(output)) == 100


def test_an_engine_that_breaks_the_rules_costs_its_row_and_looks_sent() -> None:
    (row,) = rows(enrich([airports(0, 1)], "not_an_answer"))

    http = row["http"]
    assert (http["outcome"], http["error_kind"]) == ("internal", "engine_error")
    assert (http["attempts"], http["sent"]) == (1, "maybe_sent")
