"""What is logged about exchanges, and what never is."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from http_enrich_middleware import MiddlewareConfig, RequestExchange, build_chain
from http_enrich_middleware.auth import api_key, bearer
from http_enrich_middleware.observe._line import MAX_CHARACTERS, as_json, as_text, clean
from http_enrich_middleware.observe.logging import Config
from http_enrich_middleware.reuse import idempotency_key
from http_enrich_middleware.traffic import retry
from http_enrich_spark._logs import log_to
from http_enrich_transport import MemoryEngine, SecretText, TransportResponse, header_map
from tests.support.chain import FakeTime, answer, answering, failure, row, send_over_http
from tests.support.peer import serving

DNS_LINE = 'GET http://api.test/ error_kind=dns error="no answer" sent=not_sent attempts=1 elapsed_ms=0.0'
KEYS = [
    "time",
    "level",
    "event",
    "method",
    "url",
    "status",
    "error_kind",
    "error",
    "sent",
    "attempts",
    "elapsed_ms",
    "retry_stop",
    "idempotency_key",
]


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

    assert log.record_tuples == [("http_enrich", logging.WARNING, DNS_LINE)]


async def test_failure_on_the_wire(log: pytest.LogCaptureFixture) -> None:
    missing = b"HTTP/1.1 404 Not Found\r\nContent-Length: 6\r\n\r\ncanary"
    async with serving(missing) as server:
        await send_over_http([Config()], row("POST", server.url + "/a?key=canary"))

    assert [line.rpartition(" elapsed_ms=")[0] for line in log.messages] == [
        f'POST {server.url}/a?*** status=404 error_kind=http_status error="HTTP status 404" '
        "sent=responded attempts=1"
    ]


@pytest.mark.parametrize(("level", "number"), [("DEBUG", 10), ("INFO", 20), ("WARNING", 30)])
async def test_successes_have_the_level_of_the_configuration(
    log: pytest.LogCaptureFixture, level: str, number: int
) -> None:
    await send(answer(200), Config.model_validate({"level": level, "sample": 1}))

    assert log.record_tuples == [
        ("http_enrich", number, "GET http://api.test/ status=200 sent=responded attempts=1 elapsed_ms=0.0")
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

    *failures, last = log.messages
    assert failures == [DNS_LINE.replace("dns", "connect_refused")] * 100
    assert last == "further failures of this worker are not logged (max_failures: 100)"


async def test_as_many_failures_as_are_allowed_end_with_the_notice_and_fewer_do_not(
    log: pytest.LogCaptureFixture,
) -> None:
    await send(failure("dns"), Config(max_failures=3), times=2)
    assert log.messages == [DNS_LINE] * 2

    log.clear()
    await send(failure("dns"), Config(max_failures=3), times=3)
    assert (len(log.messages), log.records[-1].levelname) == (4, "WARNING")


async def test_no_failures_at_all_can_be_asked_for(log: pytest.LogCaptureFixture) -> None:
    await send(failure("dns"), Config(max_failures=0), times=3)

    assert not log.records


async def test_failures_beyond_the_limit_do_not_silence_successes(log: pytest.LogCaptureFixture) -> None:
    engine = answering(failure("dns"), failure("dns"), answer(200))
    chain = build_chain([Config(max_failures=1, sample=1)], engine)
    for _ in range(3):
        await chain(row())

    assert [record.levelname for record in log.records] == ["WARNING", "WARNING", "INFO"]


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

    assert [word for line in log.messages for word in line.split() if "attempts=" in word] == attempts


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


async def test_each_line_is_one_json_object_with_the_same_keys(log: pytest.LogCaptureFixture) -> None:
    time = FakeTime()
    engine = answering(failure("dns"), answer(200), answer(404))
    chain = build_chain(
        [Config(format="json", sample=1), idempotency_key.Config(), retry.Config()], engine, time.runtime
    )
    for _ in range(2):
        exchange = row("POST")
        exchange.row_id = ("BIRK",)
        await chain(exchange)

    good, bad = [json.loads(line) for line in log.messages]
    assert [list(good), list(bad)] == [KEYS, KEYS]
    assert good == {
        **dict.fromkeys(KEYS),
        "time": "2027-01-15T08:16:40.200+00:00",
        "level": "INFO",
        "event": "exchange",
        "method": "POST",
        "url": "http://api.test/",
        "status": 200,
        "sent": "responded",
        "attempts": 2,
        "elapsed_ms": 200.0,
        "retry_stop": "ok",
        "idempotency_key": exchange.idempotency_key,
    }
    assert bad == {
        **good,
        "level": "WARNING",
        "status": 404,
        "error_kind": "http_status",
        "error": "HTTP status 404",
        "attempts": 1,
        "elapsed_ms": 0.0,
        "retry_stop": "not_retryable",
    }


async def test_the_notice_is_json_too(log: pytest.LogCaptureFixture) -> None:
    await send(failure("dns"), Config(format="json", max_failures=1), times=5)

    lines = [json.loads(line) for line in log.messages]
    assert [line["event"] for line in lines] == ["exchange", "failures_muted"]
    assert {name: lines[1][name] for name in ("level", "max_failures")} == {
        "level": "WARNING",
        "max_failures": 1,
    }


async def test_listed_headers_are_shown_and_no_others(log: pytest.LogCaptureFixture) -> None:
    config = Config(format="json", sample=1, headers=("X-Trace", "etag", "absent"))
    exchange = row(**{"x-trace": "t1", "X-Other": "canary"})
    engine = answering(
        TransportResponse(200, header_map({"ETag": "e1", "X-Trace": "t2", "X-Reply": "canary"}))
    )

    await build_chain([config], engine)(exchange)

    (line,) = [json.loads(each) for each in log.messages]
    assert line["request_headers"] == {"x-trace": "t1"}
    assert line["response_headers"] == {"etag": "e1", "x-trace": "t2"}
    assert "canary" not in log.text


async def test_listed_headers_are_facts_in_a_text_too(log: pytest.LogCaptureFixture) -> None:
    await build_chain([Config(sample=1, headers=("etag",))], answering(answer(200, etag='W/"1"')))(row())

    assert log.messages[0].endswith(r' response.etag="W/\"1\""')


async def test_a_header_that_comes_twice_is_one_list(log: pytest.LogCaptureFixture) -> None:
    headers: Any = header_map({"Via": "1.1 a"})
    headers.add("via", "1.1 b")
    engine = answering(TransportResponse(200, headers))

    await build_chain([Config(format="json", sample=1, headers=("Via",))], engine)(row())

    assert json.loads(log.messages[0])["response_headers"] == {"via": "1.1 a, 1.1 b"}


@pytest.mark.parametrize("format", ["text", "json"])
@pytest.mark.parametrize(
    "name", ["Authorization", "Proxy-Authorization", "Cookie", "Set-Cookie", "X-Api-Key"]
)
async def test_what_is_secret_by_its_name_is_never_shown(
    log: pytest.LogCaptureFixture, name: str, format: str
) -> None:
    config = Config.model_validate({"sample": 1, "format": format, "headers": [name]})
    engine = answering(TransportResponse(200, header_map({name: "canary-2"})))

    await build_chain([config], engine)(row(**{name.upper(): "canary-1"}))

    shown = 1 if name == "Proxy-Authorization" else 2  # which no engine sends, so that there is no answer
    assert (log.text.count("***"), "canary" in log.text) == (shown, False)


async def test_what_is_secret_by_its_value_is_never_shown_wherever_it_stands(
    log: pytest.LogCaptureFixture,
) -> None:
    key = api_key.Config.model_validate({"key": SecretText("canary-7"), "header": "X-Tenant-Key"})
    config = Config(sample=1, headers=("x-tenant-key", "x-echo"))
    exchange = row(url="http://api.test/canary-7/a")
    exchange.metadata["retry.stop"] = exchange.idempotency_key = "canary-7"
    runtime = FakeTime().runtime

    await build_chain([config, key], answering(answer(200, x_echo="was canary-7")), runtime)(exchange)

    # In the address, the stop reason, the key and the echo; the header of the credentials is gone by then.
    assert (log.text.count("***"), "canary" in log.text) == (4, False)


FORGERIES = [
    "a\nWARNING b",
    "a\r\nb",
    "a\x1b[2Kb",
    "a\x00b",
    "a\x85b",
    "a\u2028b",
    "a\u202eb",
    "a\udcffb",
    "a\x7fb",
]


@pytest.mark.parametrize("format", ["text", "json"])
@pytest.mark.parametrize("forged", FORGERIES)
async def test_no_value_ends_the_line_or_moves_the_cursor(
    log: pytest.LogCaptureFixture, forged: str, format: str
) -> None:
    config = Config.model_validate({"sample": 1, "format": format, "headers": ["x-a"]})
    exchange = row(forged, f"http://api.test/{forged}", **{"X-A": forged})
    exchange.idempotency_key = forged
    exchange.metadata["retry.stop"] = forged

    await build_chain([config], answering(answer(200, x_a=forged)))(exchange)

    (line,) = log.messages
    assert line.isprintable()
    assert line.splitlines() == [line]


async def test_no_value_looks_like_another_fact(log: pytest.LogCaptureFixture) -> None:
    exchange = row(url="http://api.test/ status=200")
    exchange.metadata["retry.stop"] = "ok error_kind=none"

    await build_chain([Config()], answering(answer(500)))(exchange)

    (line,) = log.messages
    assert '"http://api.test/ status=200" error_kind=invalid_request ' in line
    assert line.endswith(' retry_stop="ok error_kind=none"')


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(text=st.text(alphabet=st.characters(codec=None)))
def test_any_text_at_all_is_one_printable_line(text: str) -> None:
    facts = {"method": clean(text), "url": clean(text), "error": clean(text)}

    for line in (as_text(facts), as_json("exchange", "INFO", 0.0, facts)):
        assert line.isprintable()
    assert json.loads(as_json("exchange", "INFO", 0.0, facts))["url"] == clean(text)


async def test_long_values_are_cut_after_their_secrets_were_hidden(log: pytest.LogCaptureFixture) -> None:
    token = bearer.Config(token=SecretText("canary-7"))
    url = "http://api.test/" + "x" * (MAX_CHARACTERS - len("http://api.test/") - 4) + "canary-7" + "y" * 5000

    await build_chain([Config(), token], answering(failure("dns")), FakeTime().runtime)(row(url=url))

    assert "canary"[:2] not in log.text.partition(" error_kind")[0].rpartition("x")[2]
    assert len(log.messages[0]) < MAX_CHARACTERS + 200


@pytest.mark.parametrize(
    "values", [{"url": None}, {"method": 7}, {"headers": {"X-A": 5}}, {"headers": {5: "x"}}]
)
async def test_what_the_engine_refuses_stays_what_it_is(
    log: pytest.LogCaptureFixture, values: dict[str, Any]
) -> None:
    exchange = row()
    for name, value in values.items():
        setattr(exchange.request, name, value)

    await build_chain([Config(headers=("x-a",))], MemoryEngine.always(200))(exchange)

    assert exchange.error_kind == "invalid_request"
    assert len(log.messages) == 1


@pytest.mark.parametrize("name", ["", "a b", "a:", "ä", "a\n"])
def test_what_is_no_name_of_a_header_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is not the name of a header"):
        Config.model_validate({"headers": [name]})


@pytest.fixture
def worker_log() -> Iterator[io.StringIO]:
    """The log of a worker, which nobody has configured."""
    root, own, stream = logging.getLogger(), logging.getLogger("http_enrich"), io.StringIO()
    found, root.handlers = root.handlers, []
    state = own.handlers, own.level, own.propagate
    own.handlers = []
    log_to(stream)
    yield stream
    root.handlers = found
    own.handlers, own.level, own.propagate = state


@pytest.mark.parametrize(
    ("format", "beginning"),
    [("text", "WARNING GET http"), ("json", '{"time":"2027-01-15T08:16:40.000+00:00",')],
)
async def test_a_worker_adds_the_level_to_texts_and_nothing_to_json(
    worker_log: io.StringIO, format: str, beginning: str
) -> None:
    await send(failure("dns"), Config.model_validate({"format": format}))

    (line,) = worker_log.getvalue().splitlines()
    assert line.startswith(beginning)
