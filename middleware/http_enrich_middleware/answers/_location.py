"""Reads a `Location`, which is as trustworthy as whoever sent it."""

from __future__ import annotations

import re
from urllib.parse import quote, urlsplit

from yarl import URL

from http_enrich_middleware import origin_of

MAX_LENGTH = 8192
"""Characters; what servers commonly take as a request line."""

# What parsers drop, or take for a slash; where these stand, nobody knows whom they are talking to.
_AMBIGUOUS = re.compile(r"[\x00-\x1f\x7f\\]")

_LEGAL = ":/?#[]@!$&'()*+,;=%"
"""RFC 3986 §2, letters and digits aside; the rest is percent-encoded, and what is encoded stays as it is."""

_MAX_HOST = 253


class BlockedError(Exception):
    """The redirect must not be followed; the text says why, and quotes no more than an origin."""


def resolved(current: str, location: str) -> str:
    """
    Return the absolute address that *location* stands for in an answer to a request to *current*.

    It is resolved as in RFC 3986 §5.2 and has no fragment. Raises `BlockedError`
    for what is no http or https address, or is one with a user name in it.
    """
    if not location:
        msg = "its Location is empty"
        raise BlockedError(msg)
    if len(location) > MAX_LENGTH:
        msg = f"its Location is longer than {MAX_LENGTH} characters"
        raise BlockedError(msg)
    if _AMBIGUOUS.search(location):
        msg = "its Location has control characters or backslashes"
        raise BlockedError(msg)
    try:
        # Bytes that are no UTF-8 come out of the header as surrogates, and go on as they came.
        url = _joined(current, quote(location, safe=_LEGAL, errors="surrogateescape"))
        _check(url)
    except ValueError:
        msg = "its Location cannot be read"
        raise BlockedError(msg) from None
    return url


def _joined(current: str, location: str) -> str:
    # Encoded: nothing is decoded and encoded anew, which would break signed addresses.
    url = URL(current, encoded=True).join(URL(location, encoded=True))
    if not url.host:
        return str(url)
    # An absolute address is left as it is, dot segments and all.
    query = f"?{url.raw_query_string}" if url.raw_query_string else ""
    return str(url.join(URL(f"/.{url.raw_path}{query}", encoded=True)))


def _check(url: str) -> None:
    parts = urlsplit(url)
    if not origin_of(url) or len(parts.hostname or "") > _MAX_HOST:
        msg = "its Location is no http or https address"
        raise BlockedError(msg)
    if "@" in parts.netloc:
        msg = "its Location has a user name or password in it"
        raise BlockedError(msg)
    if len(url) > MAX_LENGTH:
        msg = f"its Location leads to an address of more than {MAX_LENGTH} characters"
        raise BlockedError(msg)
