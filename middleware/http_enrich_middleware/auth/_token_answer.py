"""Reads what an authorization server answers (RFC 6749 §5), and trusts none of it."""

from __future__ import annotations

import math
import re
from typing import Any

import msgspec

from http_enrich_middleware import Grant, RefusedError, UnavailableError, retry_after
from http_enrich_transport import RETRYABLE_KINDS, TransportResponse

# As in `retry`: after these another request may be answered otherwise.
_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})

# It goes into a header, so it is visible ASCII; no server takes headers of more than this.
_ACCESS_TOKEN = re.compile(r"[\x21-\x7e]{1,16384}")

# RFC 6749 §5.2 without the space: a code, and no sentence that may quote something.
_ERROR = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,50}")


class Answer(msgspec.Struct):
    """The members that mean something to us; each may be of any type."""

    access_token: Any = None
    token_type: Any = None
    expires_in: Any = None
    refresh_token: Any = None
    error: Any = None

    def __repr__(self) -> str:
        return "Answer(***)"


def read_answer(response: TransportResponse, now: float) -> Answer:
    """
    Return what *response* says if it is a success.

    Raises `RefusedError` or `UnavailableError` if not; *now* is the time of day in seconds since 1970.
    """
    if response.error is not None:
        message = f"the token request failed: {response.error.kind}"
        raise (UnavailableError if response.error.kind in RETRYABLE_KINDS else RefusedError)(message)
    if response.status in _TRANSIENT:
        message = f"the token request was answered with HTTP status {response.status}"
        raise UnavailableError(message, retry_after(response.headers, now))
    answer = _decoded(response.body)
    if response.status != 200:
        message = f"the token request was refused with HTTP status {response.status}"
        raise RefusedError(message + _reason(answer))
    if answer is None:
        msg = "the answer to the token request is no JSON object"
        raise RefusedError(msg)
    return answer


def granted(answer: Answer) -> Grant:
    """Return the token in *answer*; raises `RefusedError` if there is none that could be sent."""
    text, kind = answer.access_token, answer.token_type
    if not isinstance(text, str) or not _ACCESS_TOKEN.fullmatch(text):
        msg = "the answer to the token request has no access_token that fits into a header" + _reason(answer)
        raise RefusedError(msg)
    # RFC 6749 §5.1 asks for it, and some servers leave it out.
    if kind is not None and not (isinstance(kind, str) and kind.lower() == "bearer"):
        msg = "the token_type is not Bearer, and no other is known here"
        raise RefusedError(msg)
    return Grant(text, _lifetime(answer.expires_in))


def _decoded(body: bytes) -> Answer | None:
    try:
        return msgspec.json.decode(body, type=Answer)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def _reason(answer: Answer | None) -> str:
    error = answer.error if answer is not None else None
    return f": {error}" if isinstance(error, str) and _ERROR.fullmatch(error) else ""


def _lifetime(value: Any) -> float | None:
    """Return the seconds in *value*; zero, less and nonsense are what servers say instead of nothing."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        seconds = float(value)
    except ValueError:
        return None
    except OverflowError:  # a whole number too large for a float
        return math.inf
    return seconds if seconds > 0 else None
