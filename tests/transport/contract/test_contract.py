"""
What every engine promises.

An engine of your own can be put to the same tests: add it to `ENGINES`.
"""

from __future__ import annotations

import asyncio
import copy
from typing import Any

import pytest

from http_enrich_transport import ENGINE_HEADERS, Sent, TransportRequest
from tests.support.answers import ENGINES, Answer, Peer, peer

pytestmark = pytest.mark.parametrize("name", ENGINES)

ONE_AT_A_TIME = {name: {"tcp_connection": {"limit": 1}} for name in ENGINES if name != "memory"}


def get(made: Peer, target: str = "/a", **fields: object) -> TransportRequest:
    return TransportRequest("GET", made.url + target, **fields)  # type: ignore[arg-type]


async def test_hands_over_status_headers_and_body(name: str) -> None:
    async with peer(name, Answer(418, {"X-Tag": "a"}, b"tea")) as made:
        response = await made.engine.send(get(made))

    assert (response.status, response.body, response.error) == (418, b"tea", None)
    assert (response.headers["x-tag"], response.headers["X-TAG"]) == ("a", "a")
    assert response.sent is Sent.RESPONDED


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"])
async def test_sends_every_method_once(name: str, method: str) -> None:
    async with peer(name) as made:
        response = await made.engine.send(TransportRequest(method, made.url + "/a?b=1"))

    assert (response.status, response.error) == (200, None)
    assert [(each.method, each.target) for each in made.seen] == [(method, "/a?b=1")]


async def test_sends_headers_and_body_as_they_are(name: str) -> None:
    headers = {"Authorization": "Bearer x", "Content-Type": "text/plain; charset=utf-8", "X-Empty": ""}
    body = "grüße\r\n\r\n\0".encode()

    async with peer(name) as made:
        await made.engine.send(TransportRequest("POST", made.url + "/a", headers, body))

    assert made.seen[0].body == body
    assert {key.lower(): value for key, value in headers.items()}.items() <= made.seen[0].headers.items()


@pytest.mark.parametrize("target", ["/a%2Fb%20c", "/a//b", "/%7e~", "/?q=http://x/../y&r=%E9", "/a;b=c:d@e"])
async def test_does_not_touch_the_address(name: str, target: str) -> None:
    async with peer(name) as made:
        await made.engine.send(get(made, target))

    assert [each.target for each in made.seen] == [target]


async def test_leaves_the_request_as_it_was(name: str) -> None:
    async with peer(name) as made:
        request = get(made, headers={"X-A": "1"}, body=b"x", timeout=3.0)
        before = copy.deepcopy(request)
        await made.engine.send(request)

    assert request == before


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_follows_no_redirect(name: str, status: int) -> None:
    async with peer(name, Answer(status, {"Location": "/elsewhere"})) as made:
        response = await made.engine.send(get(made))

    assert (response.status, response.headers["location"], response.error) == (status, "/elsewhere", None)
    assert [each.target for each in made.seen] == ["/a"]


async def test_keeps_no_cookie(name: str) -> None:
    async with peer(name, Answer(headers={"Set-Cookie": "s=1; Path=/"})) as made:
        for _ in range(2):
            await made.engine.send(get(made))

    assert [("cookie" in each.headers) for each in made.seen] == [False, False]


@pytest.mark.parametrize("status", [200, 204, 304, 404, 500])
async def test_an_answer_may_have_no_body(name: str, status: int) -> None:
    async with peer(name, Answer(status, body=b"")) as made:
        responses = [await made.engine.send(get(made)) for _ in range(2)]

    assert [(each.status, each.body, each.error) for each in responses] == [(status, b"", None)] * 2


async def test_a_head_has_no_body_whatever_it_announces(name: str) -> None:
    async with peer(name, Answer(body=b"x" * 100), max_response_bytes=10) as made:
        response = await made.engine.send(TransportRequest("HEAD", made.url + "/a"))

    assert (response.status, response.body, response.error) == (200, b"", None)


@pytest.mark.parametrize("status", [204, 304])
async def test_an_answer_without_a_body_may_announce_one(name: str, status: int) -> None:
    async with peer(name, Answer(status, {"Content-Length": "1000"}, b""), max_response_bytes=10) as made:
        response = await made.engine.send(get(made))

    assert (response.status, response.body, response.error) == (status, b"", None)


async def test_a_body_of_exactly_the_limit_fits(name: str) -> None:
    async with peer(name, Answer(body=b"x" * 1000), max_response_bytes=1000) as made:
        response = await made.engine.send(get(made))

    assert (len(response.body), response.error) == (1000, None)


async def test_a_body_beyond_the_limit_is_an_error_and_the_next_one_is_not(name: str) -> None:
    async with peer(name, Answer(body=b"x" * 1001), max_response_bytes=1000) as made:
        first = await made.engine.send(get(made))
        second = await made.engine.send(TransportRequest("HEAD", made.url + "/a"))

    assert first.error is not None
    assert (first.error.kind, first.sent, first.status) == ("body_too_large", Sent.RESPONDED, 200)
    assert (second.status, second.error) == (200, None)


async def test_a_silent_peer_ends_at_the_deadline(name: str) -> None:
    async with peer(name, Answer(silent=True), base_timeout=0.5) as made:
        response = await made.engine.send(get(made))

    assert response.error is not None
    assert (response.error.kind, response.sent) == ("total_timeout", Sent.MAYBE_SENT)
    assert len(made.seen) == 1


async def test_a_request_may_have_its_own_deadline(name: str) -> None:
    async with peer(name, Answer(silent=True), base_timeout=600) as made:
        response = await made.engine.send(get(made, timeout=0.5))

    assert response.error is not None
    assert response.error.kind == "total_timeout"


async def test_a_deadline_leaves_the_task_free_to_go_on(name: str) -> None:
    async with peer(name, Answer(silent=True), base_timeout=0.1) as made:
        await made.engine.send(get(made))
        task = asyncio.current_task()

    assert task is not None
    assert task.cancelling() == 0


async def test_cancelling_goes_through(name: str) -> None:
    async with peer(name, Answer(silent=True)) as made:
        sending = asyncio.create_task(made.engine.send(get(made, timeout=1.0)))
        await made.arrived.wait()
        sending.cancel()

        with pytest.raises(asyncio.CancelledError):
            await sending


async def test_a_cancellation_that_came_before_goes_through(name: str) -> None:
    async def cancelled(made: Peer) -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await made.engine.send(get(made))

    async with peer(name, Answer(silent=True)) as made:
        with pytest.raises(asyncio.CancelledError):
            await asyncio.create_task(cancelled(made))


NO_REQUESTS: list[dict[str, Any]] = [
    {"method": "GET", "url": None},
    {"method": 5, "url": "http://h/"},
    {"method": "GET", "url": "http://h/", "timeout": "5"},
    {"method": "GET", "url": "http://h/", "headers": {5: "x"}},
]


@pytest.mark.parametrize("fields", NO_REQUESTS)
async def test_what_is_no_request_is_refused_too(name: str, fields: dict[str, Any]) -> None:
    async with peer(name) as made:
        response = await made.engine.send(TransportRequest(**fields))

    assert response.error is not None
    assert (response.error.kind, response.sent) == ("invalid_request", Sent.NOT_SENT)


async def test_leaving_the_engine_answers_what_is_under_way(name: str) -> None:
    async with peer(name, Answer(silent=True), **ONE_AT_A_TIME.get(name, {})) as made:
        sending = [asyncio.create_task(made.engine.send(get(made, timeout=2.0))) for _ in range(2)]
        await made.arrived.wait()
        await made.engine.__aexit__(None, None, None)
        responses = await asyncio.gather(*sending)

    assert [each.error and each.error.kind for each in responses] == ["engine_error"] * 2
    assert responses[0].sent is Sent.MAYBE_SENT
    assert responses[1].sent is (Sent.NOT_SENT if name in ONE_AT_A_TIME else Sent.MAYBE_SENT)


async def test_a_callers_shorter_timeout_wins(name: str) -> None:
    async with peer(name, Answer(silent=True)) as made:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await made.engine.send(get(made, timeout=1.0))


async def test_serves_many_at_a_time(name: str) -> None:
    async with peer(name) as made:
        requests = [get(made, f"/{number}") for number in range(50)]
        responses = await asyncio.gather(*map(made.engine.send, requests))

    assert {each.status for each in responses} == {200}
    assert {each.target for each in made.seen} == {f"/{number}" for number in range(50)}


@pytest.mark.parametrize("header", sorted(ENGINE_HEADERS))
async def test_headers_that_frame_a_message_are_the_engines(name: str, header: str) -> None:
    async with peer(name) as made:
        response = await made.engine.send(get(made, headers={header.title(): "1"}))

    assert response.error is not None
    assert (response.error.kind, response.sent) == ("invalid_request", Sent.NOT_SENT)
    assert made.seen == []


@pytest.mark.parametrize(
    "value", ["a\r\nX: b", "a\nb", "a\rb", "a\0b", "a\x7fb", "a\x0bb", "a\ud800b", None, 5]
)
async def test_a_value_cannot_smuggle_a_header(name: str, value: str) -> None:
    async with peer(name) as made:
        response = await made.engine.send(get(made, headers={"X-A": value}))

    assert response.error is not None
    assert (response.error.kind, response.sent) == ("invalid_request", Sent.NOT_SENT)
    assert made.seen == []


@pytest.mark.parametrize("header", ["", "a b", "a:b", "a\r\nb", "ä"])
async def test_a_headers_name_is_a_token(name: str, header: str) -> None:
    async with peer(name) as made:
        response = await made.engine.send(get(made, headers={header: "1"}))

    assert response.error is not None
    assert (response.error.kind, made.seen) == ("invalid_request", [])


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd", "ftp://h/x", "data:,x", "unix:///x", "ws://h/", "wss://h/", "foo", "", "//h/",
        "http://", "http:///x", "http://h/a b", "http://h/ä", "http://h/a\r\nb", "http://h/#a", "http://h\\@g/",
        "http://h/../a", "http://h/a/%2e%2E/b", "http://h/a/./b", "http://h/.%2e", "http://[::1/", "http://h:99999/",
    ],
)  # fmt: skip
async def test_an_address_has_to_be_complete_and_encoded(name: str, url: str) -> None:
    async with peer(name) as made:
        response = await made.engine.send(TransportRequest("GET", url))

    assert response.error is not None
    assert (response.error.kind, response.sent) == ("invalid_request", Sent.NOT_SENT)
    assert made.seen == []


@pytest.mark.parametrize("method", ["", "G T", "GET /x HTTP/1.1\r\nX: 1\r\n\r\nGET", "GÉT"])
async def test_a_method_is_a_token(name: str, method: str) -> None:
    async with peer(name) as made:
        response = await made.engine.send(TransportRequest(method, made.url + "/a"))

    assert response.error is not None
    assert (response.error.kind, made.seen) == ("invalid_request", [])


async def test_messages_hold_no_query_and_no_secret(name: str) -> None:
    async with peer(name, Answer(silent=True), base_timeout=0.05) as made:
        late = await made.engine.send(get(made, "/a?key=canary"))
        bad = await made.engine.send(get(made, headers={"X-A": "canary\n"}))

    assert late.error is not None
    assert bad.error is not None
    assert "canary" not in late.error.message + bad.error.message + repr(late) + repr(bad)
