"""Counts that add up: over a worker's tasks, and over workers."""

from __future__ import annotations

import json
import math
import pickle
from collections import Counter

import msgspec
import pytest
from ddsketch import DDSketch
from hypothesis import given, settings
from hypothesis import strategies as st

from http_enrich_middleware import Metrics, Snapshot, WorkerRuntime, build_chain
from http_enrich_middleware._metrics import ACCURACY, AT_ONCE, Histogram, class_of
from http_enrich_middleware.observe import metrics as metrics_middleware
from tests.support.chain import answer, answering, row

MILLISECONDS = st.lists(st.floats(0.001, 3_600_000), min_size=1, max_size=200)
CI = settings(max_examples=200, deadline=None, derandomize=True, database=None)


def histogram(*values: float) -> Histogram:
    made = Histogram()
    made.record(values)
    return made


def counted(*rows: tuple[str | None, int | None, int, int, float]) -> Metrics:
    metrics = Metrics()
    for each in rows:
        metrics.rows.append(each)
    return metrics


def test_a_histogram_knows_count_quantiles_and_maximum() -> None:
    figures = histogram(*range(1, 1001)).figures()

    assert (figures["count"], figures["max_ms"]) == (1000, 1000)
    assert figures["p50_ms"] == pytest.approx(500, rel=ACCURACY)
    assert figures["p90_ms"] == pytest.approx(900, rel=ACCURACY)
    assert figures["p99_ms"] == pytest.approx(990, rel=ACCURACY)


@CI
@given(values=MILLISECONDS)
def test_quantiles_are_those_of_the_library_and_within_a_percent(values: list[float]) -> None:
    sketch = DDSketch(ACCURACY)
    for value in values:
        sketch.add(value)
    ranked = sorted(values)

    figures = histogram(*values).figures()

    for name, share in {"p50_ms": 0.5, "p90_ms": 0.9, "p99_ms": 0.99}.items():
        exact = ranked[math.floor(share * (len(ranked) - 1))]
        found = min(sketch.get_quantile_value(share) or 0.0, max(values))
        assert figures[name] == round(found, 3) == pytest.approx(exact, rel=ACCURACY * 1.01, abs=0.001)


@CI
@given(first=MILLISECONDS, second=MILLISECONDS)
def test_to_add_histograms_is_to_count_together(first: list[float], second: list[float]) -> None:
    added = histogram(*first)
    added.add(histogram(*second))

    assert added == histogram(*first, *second)


def test_no_time_at_all_counts_too() -> None:
    assert histogram(0, 0, 0, 5).figures() == {"count": 4, "p50_ms": 0, "p90_ms": 0, "p99_ms": 0, "max_ms": 5}


def test_rows_are_counted_by_how_they_ended_and_latencies_by_class() -> None:
    metrics = counted(
        (None, 200, 1, 0, 4), (None, 201, 2, 1, 8), ("http_status", 404, 1, 0, 2), ("dns", None, 3, 2, 16)
    )

    figures = metrics.drain(Counter({"cache.hits": 7})).figures()

    assert figures["rows"] == {"ok": 2, "http_status": 1, "dns": 1}
    assert (figures["requests"], figures["retries"], figures["counters"]) == (7, 3, {"cache.hits": 7})
    assert {name: (each["count"], each["max_ms"]) for name, each in figures["latency"].items()} == {
        "2xx": (2, 8),
        "4xx": (1, 2),
        "no_answer": (1, 16),
    }


@pytest.mark.parametrize(
    ("status", "name"), [(None, "no_answer"), (100, "1xx"), (599, "5xx"), (999, "9xx"), (1000, "other")]
)
def test_statuses_have_classes(status: int | None, name: str) -> None:
    assert class_of(status) == name


def test_what_was_drained_is_not_drained_again() -> None:
    metrics, counters = counted((None, 200, 1, 0, 4)), Counter(saved=1)
    taken = metrics.drain(counters)
    metrics.rows.append(("dns", None, 1, 0, 1))

    assert metrics.drain(counters).rows == {"dns": 1}
    assert metrics.drain(counters) == Snapshot()
    assert (taken.rows, taken.counters) == ({"ok": 1}, {"saved": 1})


def test_snapshots_add_up_and_the_second_stays_as_it_was() -> None:
    total = Snapshot()
    first = counted((None, 200, 1, 0, 4)).drain(Counter(saved=1))
    second = counted((None, 200, 2, 1, 6), ("dns", None, 1, 0, 1)).drain(Counter(saved=2))
    for each in (first, second, first):
        total.add(each)

    assert (total.rows, total.requests, total.retries) == ({"ok": 3, "dns": 1}, 5, 1)
    assert (total.counters, total.latencies["2xx"]) == ({"saved": 4}, histogram(4, 6, 4))
    assert first.latencies["2xx"] == histogram(4)


def test_a_snapshot_travels() -> None:
    snapshot = counted((None, 200, 1, 0, 4), (None, 200, 1, 0, 0)).drain(Counter(saved=1))

    assert pickle.loads(pickle.dumps(snapshot)) == snapshot
    assert msgspec.json.decode(msgspec.json.encode(snapshot), type=Snapshot) == snapshot
    assert json.loads(json.dumps(snapshot.figures())) == snapshot.figures()


async def test_rows_do_not_pile_up_until_the_report() -> None:
    runtime = WorkerRuntime()
    send = build_chain([metrics_middleware.Config()], answering(answer(200)), runtime)
    for _ in range(2 * AT_ONCE - 1):
        await send(row())

    assert len(runtime.metrics.rows) == AT_ONCE - 1
    assert runtime.metrics.drain(Counter()).rows == {"ok": 2 * AT_ONCE - 1}
