"""What an authorization server says is read, and not believed."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from http_enrich_middleware._token import Grant, RefusedError, UnavailableError
from http_enrich_middleware.auth._token_answer import granted, read_answer
from http_enrich_transport import RETRYABLE_KINDS, Sent, TransportErrorKind, TransportResponse
from tests.support.chain import EPOCH, answer, failure
from tests.support.tokens import granting, refusing


def grant(response: TransportResponse) -> Grant:
    return granted(read_answer(response, EPOCH))


@pytest.mark.parametrize("kind", ["Bearer", "bearer", "BEARER", None])
def test_a_bearer_token_is_taken(kind: str | None) -> None:
    assert grant(granting("abc.-_~+/=", token_type=kind)) == Grant("abc.-_~+/=")


def test_some_servers_leave_the_type_out() -> None:
    assert grant(answer(200, b'{"access_token": "abc", "expires_in": 60}')) == Grant("abc", 60.0)


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        (3600, 3600.0),
        ("3600", 3600.0),
        (59.5, 59.5),
        (" 60 ", 60.0),
        (0, None),
        (-1, None),
        ("-1", None),
        ("NaN", None),
        ("soon", None),
        ("", None),
        (None, None),
        (True, None),
        ([60], None),
        ({"seconds": 60}, None),
        ("1e999", math.inf),
        (10**400, math.inf),
    ],
)
def test_the_life_of_a_token_is_a_number_of_seconds_or_unknown(said: Any, meant: float | None) -> None:
    assert grant(granting("abc", expires_in=said)).lifetime == meant


@pytest.mark.parametrize(
    "token",
    [None, "", 7, True, ["abc"], "a b", "a\r\nX-Evil: 1", "a\x00", "ä", "a\u2028", "\x7f", "a" * 16385],
)
def test_what_does_not_fit_into_a_header_is_no_token(token: Any) -> None:
    with pytest.raises(RefusedError, match=r"has no access_token that fits into a header$"):
        grant(granting(token))


@pytest.mark.parametrize("kind", ["mac", "DPoP", "", 7, ["Bearer"]])
def test_another_type_of_token_is_refused(kind: Any) -> None:
    with pytest.raises(RefusedError, match="the token_type is not Bearer, and no other is known here"):
        grant(granting("abc", token_type=kind))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>log in</html>",
        b"[]",
        b"null",
        b'"abc"',
        b'{"access_token": "abc"',
        b'{"access_token": "abc"} x',
        b'{"access_token": "abc", "expires_in": NaN}',
        b'{"access_token": "\xff"}',
        b'{"access_token": "\\ud800"}',
        b'\xef\xbb\xbf{"access_token": "abc"}',
        b'{"deep": ' + b"[" * 100_000,
    ],
    ids=range(12),
)
def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(RefusedError, match="the answer to the token request is no JSON object"):
        read_answer(answer(200, body), EPOCH)


@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_refusal_is_told_with_its_code(status: int) -> None:
    with pytest.raises(RefusedError) as caught:
        read_answer(refusing("invalid_grant", status), EPOCH)

    assert str(caught.value) == f"the token request was refused with HTTP status {status}: invalid_grant"


def test_a_refusal_with_status_200_is_told_with_its_code() -> None:
    with pytest.raises(RefusedError, match=r"fits into a header: bad_verification_code$"):
        grant(refusing("bad_verification_code", 200))


@pytest.mark.parametrize(
    "error", ["the password canary-7 is wrong", 'a"b', "a\\b", "é", "x" * 51, "", 7, None]
)
def test_what_is_no_code_is_not_repeated(error: Any) -> None:
    with pytest.raises(RefusedError) as caught:
        read_answer(refusing(error, 401), EPOCH)

    assert str(caught.value) == "the token request was refused with HTTP status 401"


@pytest.mark.parametrize("status", [201, 204, 302, 404, 405, 501, 505])
def test_only_200_grants_and_a_redirect_is_not_followed(status: int) -> None:
    with pytest.raises(RefusedError, match=f"refused with HTTP status {status}$"):
        read_answer(answer(status, b'{"access_token": "abc"}', location="https://evil.test/"), EPOCH)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_a_server_in_trouble_may_be_asked_again(status: int) -> None:
    with pytest.raises(UnavailableError) as caught:
        read_answer(answer(status, retry_after="7"), EPOCH)

    assert str(caught.value) == f"the token request was answered with HTTP status {status}"
    assert caught.value.wait == 7.0


@pytest.mark.parametrize("kind", TransportErrorKind)
def test_a_request_without_an_answer_is_made_again_where_that_may_help(kind: TransportErrorKind) -> None:
    expected = UnavailableError if kind in RETRYABLE_KINDS else RefusedError

    with pytest.raises(expected, match=f"^the token request failed: {kind}$"):
        read_answer(failure(kind, Sent.MAYBE_SENT), EPOCH)


_ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
_NAMES = ["access_token", "token_type", "expires_in", "refresh_token", "error"]


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(st.integers(100, 599), st.dictionaries(st.sampled_from(_NAMES), _ANY) | _ANY | st.binary())
def test_whatever_is_said_ends_in_a_token_or_a_reason(status: int, said: Any) -> None:
    body = said if isinstance(said, bytes) else json.dumps(said).encode()

    try:
        found = grant(TransportResponse(status, {}, body))
    except (RefusedError, UnavailableError) as error:
        found = Grant(str(error).replace(" ", "_"))

    assert (found.text.isascii(), found.text.isprintable()) == (True, True)
    assert len(found.text) < 150
    assert found.lifetime is None or found.lifetime > 0
