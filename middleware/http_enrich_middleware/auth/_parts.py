"""The parts of a request that a signature is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Discriminator, Tag

from http_enrich_transport import Settings

from ._credentials import HeaderName
from ._wire import Address

Word = Literal[
    "method",
    "host",
    "path",
    "query",
    "path_and_query",
    "url",
    "timestamp",
    "nonce",
    "body",
    "body_sha256",
]


class HeaderPart(Settings):
    """The value of a header."""

    header: HeaderName


class TextPart(Settings):
    """A text that is always the same."""

    text: str


def _kind(value: Any) -> str | None:
    if isinstance(value, str):
        return "word"
    if isinstance(value, HeaderPart | TextPart):
        return "text" if isinstance(value, TextPart) else "header"
    if isinstance(value, dict) and len(value) == 1:
        (key,) = value
        return key if key in ("header", "text") else None
    return None


Part = Annotated[
    Annotated[Word, Tag("word")] | Annotated[HeaderPart, Tag("header")] | Annotated[TextPart, Tag("text")],
    Discriminator(
        _kind,
        custom_error_type="part",
        custom_error_message="expected a word such as method or body, {header: NAME} or {text: ...}",
    ),
]
"""One entry of `parts`."""


class Facts(NamedTuple):
    """What the parts of one request are taken from; *headers* with what is sent along with the signature."""

    method: str
    address: Address
    headers: Mapping[str, str]
    body: bytes
    timestamp: str
    nonce: str


class MissingHeaderError(Exception):
    """The request lacks a header that is to be signed; the text is the header's name."""


Take = Callable[[Facts], bytes]

_WORDS: dict[str, Take] = {
    "method": lambda facts: facts.method.encode(),
    "host": lambda facts: facts.address.host.encode(),
    "path": lambda facts: facts.address.path.encode(),
    "query": lambda facts: facts.address.query.encode(),
    "path_and_query": lambda facts: facts.address.path_and_query.encode(),
    "url": lambda facts: _url(facts.address).encode(),
    "timestamp": lambda facts: facts.timestamp.encode(),
    "nonce": lambda facts: facts.nonce.encode(),
    "body": lambda facts: facts.body,
    "body_sha256": lambda facts: sha256(facts.body).hexdigest().encode(),
}


def joined(parts: Sequence[Part], separator: str) -> Take:
    """Return a function that writes *parts* with *separator* between them; it raises `MissingHeaderError`."""
    takes, between = [_take(part) for part in parts], separator.encode()
    return lambda facts: between.join([take(facts) for take in takes])


def _take(part: Any) -> Take:
    if isinstance(part, HeaderPart):
        return _header(part.header)
    if isinstance(part, TextPart):
        text = part.text.encode()
        return lambda _: text
    return _WORDS[part]


def _header(name: str) -> Take:
    wanted = name.lower()

    def take(facts: Facts) -> bytes:
        for each, value in facts.headers.items():
            if each.lower() == wanted:
                return value.strip(" \t").encode()  # as the peer reads it, RFC 9110 §5.5
        raise MissingHeaderError(name)

    return take


def _url(address: Address) -> str:
    return f"{address.scheme}://{address.host}{address.path_and_query}"
