"""What no engine puts on the wire, whatever the library below it would accept."""

from __future__ import annotations

import re
from functools import lru_cache

from ._errors import Sent, TransportErrorKind
from ._messages import TransportRequest, TransportResponse

USER_AGENT = "http-enrich"
"""Sent unless the request brings its own."""

ENGINE_HEADERS = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""
They say where a message ends, whom it is for, or belong to one connection (RFC 9110 §7.6.1, RFC 9112 §6).

Out of a row's value they would let one request pass for two.
"""

_MAX_PORT = 65535
_SECONDS = (int, float, type(None))
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]")  # half a surrogate pair is no character
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# RFC 3986 §2; what is not in it, a library would encode, each in its own way.
_URL = re.compile(
    r"https?://(?:[\w.~-]+|\[[0-9A-Fa-f:.]+\])(?::(\d{1,5}))?(?:[/?][\w.~:/?\[\]@!$&'()*+,;=%-]*)?", re.ASCII
)
_DOTS = re.compile(r"/(\.|%2e){1,2}(/|\?|$)", re.IGNORECASE)


def is_token(value: object) -> bool:
    """Say whether *value* can name a header or a method (RFC 9110 §5.6.2)."""
    return _matches(_TOKEN, value) is not None


def refuse(request: TransportRequest) -> TransportResponse | None:
    """Return the answer to a *request* that must not be sent, or None if it may."""
    complaint = _complaint(request)
    if complaint is None:
        return None
    return TransportResponse.failed(TransportErrorKind.INVALID_REQUEST, Sent.NOT_SENT, complaint)


def _complaint(request: TransportRequest) -> str | None:
    # No value is quoted: it may be a secret, or a row's.
    if not isinstance(request.timeout, _SECONDS):
        return "the timeout is no number"
    address = _matches(_URL, request.url)
    if address is None or int(address[1] or 0) > _MAX_PORT:
        return "the address is no complete, percent-encoded http or https URL"
    # Two plain searches tell most addresses that have neither, and so need no closer look.
    if ("/." in request.url or "%2" in request.url) and _DOTS.search(request.url.partition("?")[0]):
        return "the path has a segment '.' or '..', which would lead to another one"
    if request.method != "GET" and not is_token(request.method):
        return "the method is no HTTP token"
    for name, value in request.headers.items():
        complaint = _name_complaint(name)
        if complaint is not None:
            return complaint
        # Most values are printable, which is quicker to see than that nothing in them is a control character.
        if not isinstance(value, str) or not (value.isprintable() or _CONTROL.search(value) is None):
            return f"the value of the header {name!r} has control characters, or is no text"
    return None


@lru_cache(maxsize=256)
def _name_complaint(name: str) -> str | None:
    """Say what is wrong with a header's name; rows have many values, but few names."""
    if not is_token(name):
        return "a header's name is no HTTP token"
    if name.lower() in ENGINE_HEADERS:
        return f"the header {name!r} is the engine's own and cannot be set"
    return None


def _matches(pattern: re.Pattern[str], value: object) -> re.Match[str] | None:
    # What comes out of data may be of any type, whatever the annotations say.
    return pattern.fullmatch(value) if isinstance(value, str) else None
