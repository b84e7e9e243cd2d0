"""What is logged about exchanges, and what never is."""

from __future__ import annotations

import logging

import pytest

from http_enrich_middleware import MiddlewareConfig, RequestExchange, build_chain
from http_enrich_middleware.auth import bearer
from http_enrich_middleware.observe.logging import Config
from http_enrich_middleware.traffic import retry
from http_enrich_transport import SecretText, TransportResponse
from tests.support.chain import FakeTime, answer, answering, failure, row, send_over_http
from tests.support.peer import serving


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG, logger="http_enrich")
    return caplog


async def send(response: TransportResponse, *configs: MiddlewareConfig, times: int = 1) -> RequestExchange:
    chain = build_chain(configs, answering(response), FakeTime().runtime)
    for _ in range(times):
        exchange = await chain(row())
    return exchange


async def test_a_failure_is_one_warning(log: pytest.LogCaptureFixture) -> None:
    await send(failure("dns"), Config())

    assert log.record_tuples == [
        ("http_enrich", logging.WARNING, "GET http://api.test/ status=None attempts=1 error=dns")
    ]


async def test_failure_on_the_wire(log: pytest.LogCaptureFixture) -> None:
    missing = b"HTTP/1.1 404 Not Found\r\nContent-Length: 6\r\n\r\ncanary"
    async with serving(missing) as server:
        await send_over_http([Config()], row("POST", server.url + "/a?key=canary"))

    assert log.messages == [f"POST {server.url}/a?*** status=404 attempts=1 error=http_status"]


@pytest.mark.parametrize(("level", "number"), [("DEBUG", 10), ("INFO", 20), ("WARNING", 30)])
async def test_successes_have_the_level_of_the_configuration(
    log: pytest.LogCaptureFixture, level: str, number: int
) -> None:
    await send(answer(200), Config.model_validate({"level": level, "sample": 1}))

    assert log.record_tuples == [
        ("http_enrich", number, "GET http://api.test/ status=200 attempts=1 error=None")
    ]


@pytest.mark.parametrize(("sample", "lines"), [(0, 0), (0.25, 2), (0.5, 4), (1, 8)])
async def test_a_share_of_the_successes_is_logged(
    log: pytest.LogCaptureFixture, sample: float, lines: int
) -> None:
    await send(answer(200), Config(sample=sample), times=8)

    assert len(log.records) == lines


async def test_the_sample_is_spread_evenly(log: pytest.LogCaptureFixture) -> None:
    chain = build_chain([Config(sample=0.25)], answering(answer(200)))
    for number in range(12):
        await chain(row(url=f"http://api.test/{number}"))

    assert [line.split()[1] for line in log.messages] == [f"http://api.test/{n}" for n in (3, 7, 11)]


async def test_successes_are_rarely_logged_by_default(log: pytest.LogCaptureFixture) -> None:
    await send(answer(200), Config(), times=500)

    assert not log.records


async def test_a_dead_api_does_not_fill_the_disk(log: pytest.LogCaptureFixture) -> None:
    await send(failure("connect_refused"), Config(), times=150)

    assert len(log.records) == 100


async def test_failures_beyond_the_limit_do_not_silence_successes(log: pytest.LogCaptureFixture) -> None:
    engine = answering(failure("dns"), failure("dns"), answer(200))
    chain = build_chain([Config(max_failures=1, sample=1)], engine)
    for _ in range(3):
        await chain(row())

    assert [record.levelname for record in log.records] == ["WARNING", "INFO"]


@pytest.mark.parametrize(
    ("order", "attempts"),
    [
        ([Config(), retry.Config()], ["attempts=3"]),
        ([retry.Config(), Config()], ["attempts=1", "attempts=2", "attempts=3"]),
    ],
    ids=["around retry", "inside retry"],
)
async def test_its_place_in_the_list_decides_whether_attempts_are_logged(
    log: pytest.LogCaptureFixture, order: list[MiddlewareConfig], attempts: list[str]
) -> None:
    await send(answer(503), *order)

    assert [line.split()[3] for line in log.messages] == attempts


@pytest.mark.parametrize("status", [200, 500])
async def test_no_header_no_body_no_query_no_password(log: pytest.LogCaptureFixture, status: int) -> None:
    exchange = row("POST", "http://canary:canary@api.test/a?key=canary#canary", **{"X-Key": "canary"})
    exchange.request.body = b"canary"
    token = bearer.Config(token=SecretText("canary"))
    engine = answering(answer(status, b"canary", x_reply="canary"))

    await build_chain([Config(sample=1), token], engine, FakeTime().runtime)(exchange)

    assert len(log.records) == 1
    assert "http://api.test/a?***" in log.text
    assert "canary" not in log.text


@pytest.mark.parametrize("options", [{"level": "LOUD"}, {"sample": 2}, {"sample": -1}, {"max_failures": -1}])
def test_nonsense_is_refused(options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        Config.model_validate(options)


@pytest.mark.parametrize(("sample", "times", "lines"), [(0.1, 10, 1), (0.1, 100, 10)])
async def test_the_share_is_exact(
    caplog: pytest.LogCaptureFixture, sample: float, times: int, lines: int
) -> None:
    caplog.set_level("INFO", logger="http_enrich")
    chain = build_chain([Config(sample=sample)], answering(answer(200)))
    for _ in range(times):
        await chain(row())

    assert len(caplog.records) == lines
