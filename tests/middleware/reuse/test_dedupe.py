"""Rows that ask the same at the same time share one call, and none is left without an answer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from http_enrich_middleware import DEADLINE_EXCEEDED, RequestExchange, build_chain, parse_middleware
from http_enrich_middleware.reuse.dedupe import Config
from http_enrich_middleware.traffic import retry
from http_enrich_transport import MemoryEngine, Sent, TransportRequest, TransportResponse
from tests.support import virtual_time
from tests.support.chain import answer, failure, row, send_over_http
from tests.support.peer import OK, serving
from tests.support.virtual_time import clock, run


class Api:
    """Answers after a second, with the address it was asked for."""

    def __init__(self, *answers: TransportResponse) -> None:
        self.answers, self.urls = list(answers), list[str]()

    async def serve(self, request: TransportRequest) -> TransportResponse:
        self.urls.append(request.url)
        await asyncio.sleep(1)
        return self.answers.pop(0) if self.answers else answer(200, request.url.encode())


def through(api: Api, rows: Sequence[RequestExchange], config: Config | None = None, *more: object) -> float:
    """Let *rows* go at once; return when the last one was done."""

    async def main() -> tuple[float, dict[str, int]]:
        runtime = virtual_time.runtime()
        chain = build_chain([config or Config(), *more], MemoryEngine(api.serve), runtime)  # type: ignore[list-item]
        await asyncio.gather(*(chain(each) for each in rows))
        return clock(), runtime.counters

    ended_at, counters = run(main())
    assert counters.get("dedupe.saved", 0) == sum(
        each.metadata.get("dedupe.shared") == "true" for each in rows
    )
    return ended_at


def test_rows_that_ask_the_same_are_one_call() -> None:
    api, rows = Api(), [row(url="http://api.test/a") for _ in range(5)]

    assert through(api, rows) == 1.0

    assert api.urls == ["http://api.test/a"]
    assert [each.error_kind for each in rows] == [None] * 5
    assert [each.response.body for each in rows if each.response] == [b"http://api.test/a"] * 5
    # What the API counts is what the rows say.
    assert [each.attempts for each in rows] == [1, 0, 0, 0, 0]
    assert [each.sent for each in rows] == [Sent.RESPONDED] * 5


def test_only_rows_that_were_spared_say_so() -> None:
    rows = [row(), row(), row(url="http://api.test/other")]
    through(Api(), rows)

    assert [each.metadata for each in rows] == [{}, {"dedupe.shared": "true"}, {}]


def test_once_it_has_ended_a_call_is_made_anew() -> None:
    api = Api()

    async def main() -> None:
        chain = build_chain([Config()], MemoryEngine(api.serve), virtual_time.runtime())
        await chain(row())
        await chain(row())

    run(main())
    assert len(api.urls) == 2


OTHERS = {
    "address": row(url="http://api.test/b"),
    "method": row("HEAD"),
    "header": row(**{"X-A": "1"}),
    "credentials": row(Authorization="Bearer of another"),
    "body": RequestExchange(TransportRequest("GET", "http://api.test/", {}, b"{}")),
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_whatever_asks_something_else_is_a_call_of_its_own(other: RequestExchange) -> None:
    api = Api()
    through(api, [row(), other])

    assert len(api.urls) == 2


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_what_has_an_effect_is_done_for_each_row_unless_told(method: str) -> None:
    by_default, told = Api(), Api()
    through(by_default, [row(method), row(method)])
    config = parse_middleware({"type": "dedupe", "methods": [method.lower()]})
    assert isinstance(config, Config)
    through(told, [row(method), row(method)], config)

    assert (len(by_default.urls), len(told.urls)) == (2, 1)


@pytest.mark.parametrize("bad", [answer(503), answer(404), failure("reset", Sent.MAYBE_SENT)])
def test_a_failure_is_shared_too(bad: TransportResponse) -> None:
    """Else a dead API would be asked once per row after all."""
    api, rows = Api(bad), [row() for _ in range(4)]
    through(api, rows)

    assert len(api.urls) == 1
    assert len({(each.error_kind, each.status, each.sent) for each in rows}) == 1
    assert rows[0].error_kind is not None


def test_retries_inside_are_shared() -> None:
    api, rows = Api(answer(503)), [row() for _ in range(4)]
    through(api, rows, None, retry.Config(base_delay=0))

    assert [each.error_kind for each in rows] == [None] * 4
    assert (len(api.urls), [each.attempts for each in rows]) == (2, [2, 0, 0, 0])


def test_a_row_waits_no_longer_than_it_may() -> None:
    rows = [row(), row()]
    rows[1].deadline = 0.5
    through(Api(), rows)

    assert [each.error_kind for each in rows] == [None, DEADLINE_EXCEEDED]
    assert (rows[1].attempts, rows[1].sent) == (0, Sent.NOT_SENT)


def test_the_others_do_not_share_in_the_haste_of_the_first() -> None:
    """Its deadline ended its attempt; theirs is later."""
    api, rows = Api(), [row(), row(), row()]
    rows[0].deadline = 0.5
    ended_at = through(api, rows)

    assert rows[0].error_kind == "total_timeout"
    assert [each.error_kind for each in rows[1:]] == [None, None]
    assert [each.attempts for each in rows] == [1, 1, 0]
    assert ended_at < 2


def test_when_the_first_is_cancelled_another_asks() -> None:
    api, rows = Api(), [row(), row(), row()]

    async def main() -> None:
        chain = build_chain([Config()], MemoryEngine(api.serve), virtual_time.runtime())
        tasks = [asyncio.ensure_future(chain(each)) for each in rows]
        await asyncio.sleep(0.5)
        tasks[0].cancel()
        await asyncio.gather(*tasks[1:])

    run(main())
    assert [each.attempts for each in rows] == [1, 1, 0]
    assert [each.error_kind for each in rows[1:]] == [None, None]


def test_what_the_first_makes_of_its_answer_later_is_its_own() -> None:
    rows = [row(), row()]

    async def main() -> None:
        chain = build_chain([Config()], MemoryEngine(Api().serve), virtual_time.runtime())

        async def first() -> None:
            (await chain(rows[0])).response = None

        await asyncio.gather(first(), chain(rows[1]))

    run(main())
    assert rows[1].error_kind is None


ROWS = st.lists(
    st.tuples(
        st.sampled_from("abc"),  # what is asked
        st.floats(0, 3),  # when
        st.none() | st.floats(0.05, 3),  # how long it may take
        st.none() | st.floats(0, 3),  # when it is cancelled
    ),
    min_size=1,
    max_size=25,
)


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(ROWS)
def test_whatever_happens_each_row_ends_with_its_own_answer(
    plan: list[tuple[str, float, float | None, float | None]],
) -> None:
    api = Api()
    open_calls: dict[str, int] = {}

    async def serve(request: TransportRequest) -> TransportResponse:
        open_calls[request.url] = open_calls.get(request.url, 0) + 1
        assert open_calls[request.url] == 1  # never two at a time
        try:
            return await api.serve(request)
        finally:
            open_calls[request.url] -= 1

    async def one(chain: object, name: str, at: float, patience: float | None) -> RequestExchange:
        await asyncio.sleep(at)
        exchange = row(url=f"http://api.test/{name}")
        exchange.deadline = None if patience is None else clock() + patience
        await chain(exchange)  # type: ignore[operator]
        if exchange.error_kind is None:
            assert exchange.response is not None
            assert exchange.response.body == exchange.request.url.encode()
        else:
            assert patience is not None
            assert exchange.error_kind in (DEADLINE_EXCEEDED, "total_timeout")
        return exchange

    async def main() -> None:
        chain = build_chain([Config()], MemoryEngine(serve), virtual_time.runtime())
        tasks = []
        for name, at, patience, cancelled_at in plan:
            tasks.append(asyncio.ensure_future(one(chain, name, at, patience)))
            if cancelled_at is not None:
                asyncio.get_running_loop().call_at(cancelled_at, tasks[-1].cancel)
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        errors = [each for each in ended if isinstance(each, Exception)]
        assert errors == []
        done = [each for each in ended if isinstance(each, RequestExchange)]
        assert sum(each.attempts for each in done) <= len(api.urls)

    run(main())


async def test_over_http_the_server_sees_one_request_per_attempt() -> None:
    async with serving(OK) as server:
        exchange = await send_over_http([Config()], row(url=server.url))

    assert (server.requests, exchange.attempts, exchange.error_kind) == (1, 1, None)


@pytest.mark.parametrize("methods", [[], ["G ET"], [""]])
def test_methods_are_methods(methods: list[str]) -> None:
    with pytest.raises(ValueError, match=r"is no method|at least 1 item"):
        parse_middleware({"type": "dedupe", "methods": methods})
