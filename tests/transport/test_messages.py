"""Requests, answers and errors as values."""

from __future__ import annotations

import pickle

import pytest

from http_enrich_transport import (
    Sent,
    TransportError,
    TransportErrorKind,
    TransportRequest,
    TransportResponse,
    header_map,
)
from tests.support.chain import answer

REQUEST = TransportRequest(
    "POST", "http://canary@api.test/a?key=canary#canary", {"X-Key": "canary"}, b"canary", 2.5
)
ERROR = TransportError(TransportErrorKind.DNS, Sent.NOT_SENT, "no such host")


def test_a_request_shows_neither_headers_nor_body_nor_query() -> None:
    assert repr(REQUEST) == str(REQUEST) == "TransportRequest(POST http://api.test/a?***)"


def test_an_answer_shows_neither_headers_nor_body() -> None:
    response = answer(200, b"canary", x_key="canary")

    assert repr(response) == str(response) == "TransportResponse(status=200, error=None, 6 bytes)"


def test_a_failed_answer_shows_why() -> None:
    response = TransportResponse.failed(TransportErrorKind.DNS, Sent.NOT_SENT, "no such host")

    assert response.error == ERROR
    assert "no such host" in repr(response)


@pytest.mark.parametrize(
    "value", [ERROR, REQUEST, TransportRequest("GET", "http://api.test/"), answer(200, b"hi", x_tag="a")]
)
def test_values_travel(value: object) -> None:
    assert pickle.loads(pickle.dumps(value)) == value


def test_types_survive_the_journey() -> None:
    error = pickle.loads(pickle.dumps(ERROR))
    response = pickle.loads(pickle.dumps(answer(200, x_tag="a")))

    assert (error.kind, error.sent) == (TransportErrorKind.DNS, Sent.NOT_SENT)
    assert isinstance(error.kind, TransportErrorKind)
    assert response.headers["X-TAG"] == "a"


def test_an_error_does_not_change() -> None:
    with pytest.raises(AttributeError):
        ERROR.message = "other"  # type: ignore[misc]


@pytest.mark.parametrize("name", ["Retry-After", "retry-after", "RETRY-AFTER"])
def test_header_names_compare_without_regard_to_case(name: str) -> None:
    headers = header_map({"Retry-After": "5"})

    assert (headers[name], headers.get(name), name in headers) == ("5", "5", True)


def test_an_answer_has_no_headers_unless_given() -> None:
    assert dict(TransportResponse(200).headers) == {}


def test_requests_do_not_share_their_headers() -> None:
    first, second = (TransportRequest("GET", "http://api.test/") for _ in range(2))
    first.headers["Authorization"] = "canary"

    assert second.headers == {}


@pytest.mark.parametrize("sent", list(Sent))
def test_an_error_says_how_far_the_request_got(sent: Sent) -> None:
    assert TransportResponse.failed(TransportErrorKind.RESET, sent, "").sent is sent


def test_an_answer_without_an_error_was_sent_and_answered() -> None:
    assert answer(500).sent is Sent.RESPONDED


def test_the_status_stays_known_when_only_the_body_failed() -> None:
    response = TransportResponse.failed(TransportErrorKind.BODY_INCOMPLETE, Sent.RESPONDED, "", status=200)

    assert (response.status, response.body) == (200, b"")
