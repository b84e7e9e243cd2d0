"""What pyreqwest's exceptions mean for a request."""

from __future__ import annotations

import pytest
from pyreqwest import exceptions

from http_enrich_transport import Sent, TransportError
from http_enrich_transport._deadlines import Attempt, Phase
from http_enrich_transport._errors import BodyError, too_large
from http_enrich_transport.network._egress import EgressBlockedError
from http_enrich_transport.network._gate import LookupFailedError
from http_enrich_transport.pyreqwest_engine._errors import as_response
from tests.support.peer import Peer, closed_port, full_backlog, hang_up, reset, sending, serving, silent
from tests.support.rust import ask, outcome

DEADLINE = 30.0
READ_TIMEOUT = 10.0

BEFORE_THE_ANSWER = {
    exceptions.BodyDecodeError: ("body_incomplete", Sent.RESPONDED),
    exceptions.BuilderError: ("invalid_request", Sent.NOT_SENT),
    exceptions.ClientClosedError: ("engine_error", Sent.MAYBE_SENT),
    exceptions.ConnectError: ("connect_error", Sent.MAYBE_SENT),
    exceptions.ConnectTimeoutError: ("connect_timeout", Sent.NOT_SENT),
    exceptions.DecodeError: ("protocol", Sent.RESPONDED),
    exceptions.DetailedPyreqwestError: ("disconnected", Sent.MAYBE_SENT),
    exceptions.JSONDecodeError: ("body_incomplete", Sent.RESPONDED),
    exceptions.NetworkError: ("disconnected", Sent.MAYBE_SENT),
    exceptions.PoolTimeoutError: ("read_timeout", Sent.MAYBE_SENT),
    exceptions.PyreqwestError: ("disconnected", Sent.MAYBE_SENT),
    exceptions.ReadError: ("body_incomplete", Sent.RESPONDED),
    exceptions.ReadTimeoutError: ("read_timeout", Sent.MAYBE_SENT),
    exceptions.RedirectError: ("protocol", Sent.RESPONDED),
    exceptions.RequestError: ("disconnected", Sent.MAYBE_SENT),
    exceptions.RequestPanicError: ("engine_error", Sent.MAYBE_SENT),
    exceptions.RequestTimeoutError: ("read_timeout", Sent.MAYBE_SENT),
    exceptions.StatusError: ("protocol", Sent.RESPONDED),
    exceptions.TransportError: ("disconnected", Sent.MAYBE_SENT),
    exceptions.WriteError: ("disconnected", Sent.MAYBE_SENT),
    exceptions.WriteTimeoutError: ("read_timeout", Sent.MAYBE_SENT),
}


def bare(kind: type[Exception]) -> Exception:
    """Return an exception that quotes what no message may say."""
    error = kind.__new__(kind)
    error.args = ("canary", {"causes": [{"message": "error for url (http://peer/a?key=canary)"}]})
    return error


def classified(error: Exception, *, now: float = 1.0, status: int | None = None) -> TransportError:
    attempt = Attempt(DEADLINE)
    attempt.phase, attempt.status = (Phase.READING if status else Phase.WRITING), status
    response = as_response(error, "http://user:canary@peer/a?key=canary", attempt, now, READ_TIMEOUT)
    assert response.error is not None
    assert response.status == status
    return response.error


def descendants(kind: type[Exception]) -> set[type[Exception]]:
    return {kind}.union(*(descendants(each) for each in kind.__subclasses__()))


def test_no_class_of_pyreqwest_is_forgotten() -> None:
    """A new one has to be put into the table above, and where it belongs in the engine's."""
    assert descendants(exceptions.PyreqwestError) == set(BEFORE_THE_ANSWER)


@pytest.mark.parametrize("error", BEFORE_THE_ANSWER, ids=lambda error: error.__name__)
def test_before_the_answer_the_class_says_how_far_a_request_got(error: type[Exception]) -> None:
    found = classified(bare(error))

    assert (found.kind, found.sent) == BEFORE_THE_ANSWER[error]


@pytest.mark.parametrize("error", BEFORE_THE_ANSWER, ids=lambda error: error.__name__)
def test_once_a_status_came_the_peer_has_responded(error: type[Exception]) -> None:
    found = classified(bare(error), status=200)

    assert found.sent is Sent.RESPONDED
    assert found.kind not in ("connect_error", "connect_timeout", "disconnected")


@pytest.mark.parametrize("error", BEFORE_THE_ANSWER, ids=lambda error: error.__name__)
def test_messages_name_the_error_and_quote_nothing(error: type[Exception]) -> None:
    message = classified(bare(error)).message

    assert message == f"{error.__name__} (http://peer/a?***)"


@pytest.mark.parametrize(
    ("error", "kind", "sent"),
    [
        (ValueError("canary"), "invalid_request", Sent.NOT_SENT),
        (EgressBlockedError(), "egress_blocked", Sent.NOT_SENT),
        (LookupFailedError(OSError(-2, "canary")), "dns", Sent.NOT_SENT),
        (LookupFailedError(OSError(-11, "canary")), "local_resource", Sent.NOT_SENT),
        (too_large(5), "body_too_large", Sent.RESPONDED),
        (RuntimeError("canary"), "engine_error", Sent.MAYBE_SENT),
    ],
    ids=lambda each: type(each).__name__ if isinstance(each, Exception) else "",
)
def test_what_is_not_pyreqwests(error: Exception, kind: str, sent: Sent) -> None:
    found = classified(error, status=200 if isinstance(error, BodyError) else None)

    assert (found.kind, found.sent) == (kind, sent)
    assert "canary" not in found.message


@pytest.mark.parametrize(
    ("error", "now", "kind", "sent"),
    [
        (exceptions.ConnectTimeoutError, READ_TIMEOUT - 1, "connect_timeout", Sent.NOT_SENT),
        (exceptions.ConnectTimeoutError, READ_TIMEOUT, "read_timeout", Sent.MAYBE_SENT),
        (exceptions.ConnectTimeoutError, DEADLINE, "total_timeout", Sent.MAYBE_SENT),
        (exceptions.ReadTimeoutError, DEADLINE, "total_timeout", Sent.MAYBE_SENT),
    ],
)
def test_the_clock_tells_timeouts_apart(error: type[Exception], now: float, kind: str, sent: Sent) -> None:
    """Until the answer begins, pyreqwest calls all of them a connect timeout."""
    found = classified(bare(error), now=now)

    assert (found.kind, found.sent) == (kind, sent)


async def test_a_refused_connection_cannot_be_told_from_a_dropped_one() -> None:
    response = await ask(f"http://127.0.0.1:{closed_port()}/a?key=canary", method="POST")

    assert outcome(response) == ("connect_error", "maybe_sent", None)
    assert "canary" not in repr(response)


async def test_an_unknown_host_was_sent_nothing() -> None:
    assert outcome(await ask("http://no-such-host.invalid/")) == ("dns", "not_sent", None)


async def test_a_peer_that_lets_nobody_in_was_sent_nothing() -> None:
    async with full_backlog() as url:
        response = await ask(url, method="POST", connect_timeout=0.1)

    assert outcome(response) == ("connect_timeout", "not_sent", None)


async def test_a_connection_that_takes_the_whole_time_may_have_been_one() -> None:
    async with full_backlog() as url:
        response = await ask(url, method="POST", base_timeout=0.1)

    assert outcome(response) == ("total_timeout", "maybe_sent", None)


@pytest.mark.parametrize("connect_timeout", [0.5, 5.0])
async def test_silence_is_a_read_timeout(connect_timeout: float) -> None:
    async with serving(silent) as server:
        response = await ask(server.url, read_timeout=1.0, connect_timeout=connect_timeout)

    assert outcome(response) == ("read_timeout", "maybe_sent", None)


async def test_silence_in_the_body_is_a_read_timeout() -> None:
    async with serving(sending(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi", then=silent)) as server:
        response = await ask(server.url, read_timeout=1.0)

    assert outcome(response) == ("read_timeout", "responded", 200)


async def test_a_body_that_stalls_keeps_the_status() -> None:
    async with serving(sending(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi", then=silent)) as server:
        response = await ask(server.url, base_timeout=1.0)

    assert outcome(response) == ("total_timeout", "responded", 200)


@pytest.mark.parametrize("peer", [hang_up, sending(b"HTTP/1.1 200 OK\r\nX-"), reset])
async def test_a_peer_that_hangs_up_may_have_got_the_request(peer: Peer) -> None:
    async with serving(peer) as server:
        response = await ask(server.url, method="POST", body=b"x")

    assert outcome(response) == ("connect_error", "maybe_sent", None)


@pytest.mark.parametrize(
    "head",
    [
        b"SSH-2.0-OpenSSH_9",
        b"HTTP/1.1 99 Odd",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2",
        b"HTTP/1.1 200 OK\r\nno field",
        b"HTTP/1.1 200 OK" + b"\r\nX-A: 1" * 101,
        b"HTTP/1.1 200 OK\r\nX-A: " + b"1" * 2_000_000,
    ],
    ids=["version", "status", "length", "lengths", "field", "many fields", "long field"],
)
async def test_an_answer_that_is_no_http_is_a_protocol_error(head: bytes) -> None:
    async with serving(sending(head + b"\r\n\r\n")) as server:
        response = await ask(server.url)

    assert outcome(response) == ("protocol", "responded", None)
