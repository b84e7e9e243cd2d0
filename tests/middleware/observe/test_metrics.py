"""What rows and requests are counted as."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry import metrics as api
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from http_enrich_middleware import MiddlewareConfig, Snapshot, WorkerRuntime, build_chain
from http_enrich_middleware.answers import json_body
from http_enrich_middleware.observe.metrics import Config
from http_enrich_middleware.traffic import retry
from http_enrich_transport import MemoryEngine, TransportRequest, TransportResponse
from tests.support.chain import FakeTime, answer, answering, failure, row, send_over_http
from tests.support.peer import OK, closed_port, serving


def slow(time: FakeTime, *answers: TransportResponse) -> MemoryEngine:
    engine = answering(*answers)

    async def handle(request: TransportRequest) -> TransportResponse:
        await time.sleep(0.5)
        return await engine.send(request)

    return MemoryEngine(handle)


async def counted(
    engine: MemoryEngine, *configs: MiddlewareConfig, rows: int = 1, time: FakeTime
) -> Snapshot:
    runtime = time.runtime
    chain = build_chain(configs, engine, runtime)
    for _ in range(rows):
        await chain(row())
    return runtime.metrics.drain(runtime.counters)


async def test_a_row_is_one_row_whatever_its_attempts() -> None:
    """Attempts of 0.5 s, and waits of 0.2 and 0.4 s between them."""
    time = FakeTime()
    engine = slow(time, answer(503), failure("dns"), answer(200), answer(404), answer(503))

    snapshot = await counted(engine, Config(), retry.Config(), rows=3, time=time)

    figures = snapshot.figures()
    assert (snapshot.rows, snapshot.requests, snapshot.retries) == ({"ok": 1, "http_status": 2}, 7, 4)
    assert figures["latency"]["2xx"]["max_ms"] == figures["latency"]["5xx"]["max_ms"] == 2100
    assert figures["latency"]["4xx"] == {
        "count": 1,
        "p50_ms": pytest.approx(500, rel=0.01),
        "p90_ms": pytest.approx(500, rel=0.01),
        "p99_ms": pytest.approx(500, rel=0.01),
        "max_ms": 500,
    }


async def test_inside_retry_each_attempt_is_a_row_and_requests_are_what_they_were() -> None:
    time = FakeTime()
    engine = slow(time, answer(503), failure("dns"), answer(200), answer(404))

    snapshot = await counted(engine, retry.Config(), Config(), rows=2, time=time)

    assert (snapshot.rows, snapshot.requests, snapshot.retries) == (
        {"http_status": 2, "dns": 1, "ok": 1},
        4,
        2,
    )
    assert {name: each.longest for name, each in snapshot.latencies.items()} == {
        "2xx": 500,
        "4xx": 500,
        "5xx": 500,
        "no_answer": 500,
    }


async def test_a_row_that_a_middleware_has_failed_is_none_that_is_fine() -> None:
    snapshot = await counted(answering(answer(200, b"<html>")), Config(), json_body.Config(), time=FakeTime())

    assert (snapshot.rows, list(snapshot.latencies)) == ({"json_invalid": 1}, ["2xx"])


async def test_a_row_that_was_not_sent_is_no_request() -> None:
    runtime = FakeTime().runtime
    runtime.run.stop("enough")
    await build_chain([Config()], answering(answer(200)), runtime)(row())

    snapshot = runtime.metrics.drain(runtime.counters)
    assert (snapshot.rows, snapshot.requests, snapshot.retries) == ({"run_stopped": 1}, 0, 0)


async def test_what_others_count_comes_along() -> None:
    runtime = FakeTime().runtime
    await build_chain([Config()], answering(answer(200)), runtime)(row())
    runtime.counters["cache.hits"] += 2

    assert runtime.metrics.drain(runtime.counters).counters == {"cache.hits": 2}


async def test_rows_on_the_wire_take_time() -> None:
    runtime = WorkerRuntime()
    async with serving(OK) as server:
        await send_over_http([Config()], row(url=server.url), runtime)

    snapshot = runtime.metrics.drain(runtime.counters)
    assert (snapshot.rows, snapshot.requests) == ({"ok": 1}, 1)
    assert 0 < snapshot.latencies["2xx"].longest < 60_000


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemoryMetricReader]:
    """What a meter provider collects, which is global until the end of the test."""
    found = InMemoryMetricReader()
    provider = MeterProvider([found])
    monkeypatch.setattr(api, "get_meter", provider.get_meter)
    yield found
    provider.shutdown()


def points(reader: InMemoryMetricReader) -> list[Any]:
    data: Any = reader.get_metrics_data()
    (metric,) = data.resource_metrics[0].scope_metrics[0].metrics
    assert (metric.name, metric.unit) == ("http.client.request.duration", "s")
    return sorted(metric.data.data_points, key=lambda each: str(each.attributes))


async def test_opentelemetry_gets_each_attempt_with_its_seconds(reader: InMemoryMetricReader) -> None:
    """However far outside retry `metrics` stands."""
    time = FakeTime()
    engine = slow(time, answer(503), failure("dns"), answer(200))

    await counted(engine, Config(opentelemetry=True), retry.Config(), time=time)

    found = points(reader)
    api_test = {"http.request.method": "GET", "server.address": "api.test", "server.port": 80}
    assert [dict(each.attributes) for each in found] == [
        {**api_test, "error.type": "dns"},
        {**api_test, "http.response.status_code": 200},
        {**api_test, "http.response.status_code": 503, "error.type": "503"},
    ]
    assert [(each.count, each.sum) for each in found] == [(1, 0.5)] * 3
    assert found[0].explicit_bounds == (
        *(0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75),
        *(1, 2.5, 5, 7.5, 10),
    )


@pytest.mark.parametrize(
    ("method", "url", "attributes"),
    [
        ("POST", "https://api.test/a/b?c=d", ("POST", "api.test", 443)),
        ("FETCH", "https://api.test", ("_OTHER", "api.test", 443)),
        ("GET", "https://api.test?key=canary", ("GET", "api.test", 443)),
        ("GET", "http://[::1]:8080/", ("GET", "::1", 8080)),
    ],
)
async def test_neither_rows_nor_methods_make_series_of_their_own(
    reader: InMemoryMetricReader, method: str, url: str, attributes: tuple[str, str, int]
) -> None:
    await build_chain([Config(opentelemetry=True)], answering(answer(200)), WorkerRuntime())(row(method, url))

    (point,) = points(reader)
    names = ("http.request.method", "server.address", "server.port")
    assert dict(point.attributes) == {
        **dict(zip(names, attributes, strict=True)),
        "http.response.status_code": 200,
    }


async def test_an_address_that_is_none_is_no_attribute(reader: InMemoryMetricReader) -> None:
    await build_chain([Config(opentelemetry=True)], answering(answer(200)), WorkerRuntime())(row(url="api"))

    (point,) = points(reader)
    assert dict(point.attributes) == {"http.request.method": "GET", "error.type": "invalid_request"}


async def test_opentelemetry_times_real_attempts(reader: InMemoryMetricReader) -> None:
    async with serving(OK) as server:
        await send_over_http([Config(opentelemetry=True)], row(url=server.url))
    await send_over_http([Config(opentelemetry=True)], row(url=f"http://127.0.0.1:{closed_port()}/"))

    found = {each.attributes.get("error.type"): each for each in points(reader)}
    fine = found[None]
    assert found.keys() == {"connect_refused", None}
    assert fine.attributes["server.port"] == int(server.url.rpartition(":")[2])
    assert 0 < fine.sum < 60


def without_opentelemetry(options: str) -> str:
    """Build the middleware where there is no OpenTelemetry; return what that says."""
    code = (
        "import sys; sys.path[:0] = ['middleware', 'transport']\n"
        "sys.modules['opentelemetry'] = None\n"
        "from http_enrich_middleware import build_chain, parse_middleware\n"
        "from http_enrich_transport import MemoryEngine\n"
        f"build_chain([parse_middleware({options})], MemoryEngine.always(200))\n"
    )
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stderr


def test_without_the_library_its_extra_is_named() -> None:
    assert without_opentelemetry("{'type': 'metrics'}") == ""
    assert without_opentelemetry("{'type': 'metrics', 'opentelemetry': True}").endswith(
        "install airflow-provider-http-enrich-spark[opentelemetry]\n"
    )
