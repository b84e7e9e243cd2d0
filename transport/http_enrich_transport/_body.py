"""
Undoes content codings, within a limit of size.

HTTP libraries either hand on what was cut short as if it were whole, or grow
without bound on a bomb, so engines read the coded body and leave it to `decode`.
A body that is refused for its size is never held decoded.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Generator, Iterator
from importlib import import_module
from typing import Any

from multidict import MultiMapping

from ._errors import BodyError, TransportErrorKind, too_large

_PIECE = 256 * 1024
"""The most that a decoder gives at a time."""

_PART = 64 * 1024
"""The most that it is given; it copies what it does not use."""

_ZSTD_WINDOW_LOG = 23
"""8 MiB, the most that a peer may ask for over HTTP (RFC 9659 §3)."""


def is_bodiless(method: str, status: int) -> bool:
    """Say whether the answer has no body, whatever length it announces (RFC 9110 §6.4.1)."""
    return method == "HEAD" or status in (204, 304)


def accept_encoding() -> str:
    """Return what to ask peers for: the codings that can be undone on this machine."""
    return ", ".join(name for name in _DECODERS if _DECODERS[name].installed)


def decoded(headers: MultiMapping[str], body: bytes, limit: int) -> bytes:
    """Return *body* without the codings that *headers* name; raises as `decode` does."""
    if "Content-Encoding" not in headers:
        return body
    return decode(body, ", ".join(headers.getall("Content-Encoding")), limit)


def decode(body: bytes, coding: str, limit: int) -> bytes:
    """
    Return *body* without its *coding*, the value of `Content-Encoding`.

    Raises `BodyError`: `body_incomplete` if the coding is cut short,
    `content_encoding` if it is broken, unknown or more than one,
    `body_too_large` beyond *limit* bytes.
    """
    name = coding.strip().lower()
    if not body or name in ("", "identity"):
        return body
    decoder = _DECODERS.get(name.removeprefix("x-"))
    if decoder is None or not decoder.installed:
        message = f"the body is coded in a way that was not asked for; known here: {accept_encoding()}"
        raise BodyError(TransportErrorKind.CONTENT_ENCODING, message)
    try:
        return _joined(decoder.pieces(body), limit)
    except decoder.failure:
        message = f"the body is no valid {name}"
        raise BodyError(TransportErrorKind.CONTENT_ENCODING, message) from None


def _joined(pieces: Iterator[bytes], limit: int) -> bytes:
    kept, size = [], 0
    for piece in pieces:
        size += len(piece)
        if size > limit:
            raise too_large(limit)
        kept.append(piece)
    return b"".join(kept)


def _cut_short() -> BodyError:
    return BodyError(TransportErrorKind.BODY_INCOMPLETE, "the coded body ends before its end")


def _gzip(body: bytes) -> Iterator[bytes]:
    # Members may follow one another, and zeros may pad the last one (RFC 1952 §2.2).
    rest, members = memoryview(body), _Members(body)
    while rest:
        members.count()
        rest = yield from _inflate(rest, zlib.MAX_WBITS | 16)
        if rest and not rest[0]:
            if bytes(rest).strip(b"\0"):
                raise zlib.error
            return


def _deflate(body: bytes) -> Iterator[bytes]:
    # Some servers leave out the zlib header that RFC 9110 §8.4.1.2 asks for.
    wrapped = body[0] & 15 == 8 and int.from_bytes(body[:2]) % 31 == 0
    if (yield from _inflate(memoryview(body), zlib.MAX_WBITS if wrapped else -zlib.MAX_WBITS)):
        raise zlib.error


def _inflate(body: memoryview, window: int) -> Generator[bytes, None, memoryview]:
    """Yield what one stream at the start of *body* holds; return what follows it."""
    decoder = zlib.decompressobj(window)
    while not decoder.eof:
        part = body[:_PART]
        piece = decoder.decompress(part, _PIECE)
        body = body[len(part) - len(decoder.unconsumed_tail or decoder.unused_data) :]
        if not piece and not body and not decoder.eof:
            raise _cut_short()
        yield piece
    return body


def _brotli(body: bytes) -> Iterator[bytes]:
    decoder = import_module("brotli").Decompressor()
    piece = decoder.process(body, output_buffer_limit=_PIECE)
    while piece:
        yield piece
        piece = b"" if decoder.is_finished() else decoder.process(b"", output_buffer_limit=_PIECE)
    if not decoder.is_finished():
        raise _cut_short()


def _zstd(body: bytes) -> Iterator[bytes]:
    zstd: Any = import_module("backports.zstd")
    options = {zstd.DecompressionParameter.window_log_max: _ZSTD_WINDOW_LOG}
    rest, members = memoryview(body), _Members(body)
    while rest:  # frames may follow one another (RFC 8878 §3)
        members.count()
        decoder = zstd.ZstdDecompressor(options=options)
        read = 0
        while not decoder.eof:
            part = rest[read : read + _PART] if decoder.needs_input else b""
            read += len(part)
            if decoder.needs_input and not part:
                raise _cut_short()
            yield decoder.decompress(part, _PIECE)
        rest = rest[read - len(decoder.unused_data) :]


class _Members:
    """Counts the streams that make up *body*: empty ones cost time, but nothing of the limit of size."""

    def __init__(self, body: bytes) -> None:
        self._left = 1000 + len(body) // 1024

    def count(self) -> None:
        self._left -= 1
        if self._left < 0:
            message = "the body is coded in too many pieces"
            raise BodyError(TransportErrorKind.CONTENT_ENCODING, message)


class _Decoder:
    """One coding, if its library is installed."""

    def __init__(
        self, pieces: Callable[[bytes], Iterator[bytes]], library: str, failure: str, empty: bytes
    ) -> None:
        self.pieces = pieces
        self.failure: type[Exception] = zlib.error
        try:
            self.failure = getattr(import_module(library), failure)
            list(pieces(empty))  # an older version may lack what we need of it
        except (ImportError, AttributeError, TypeError):
            self.installed = False
        else:
            self.installed = True


_DECODERS = {
    "gzip": _Decoder(_gzip, "zlib", "error", b""),
    "deflate": _Decoder(_deflate, "zlib", "error", b"\x03\x00"),
    "br": _Decoder(_brotli, "brotli", "error", b"\x06"),
    "zstd": _Decoder(_zstd, "backports.zstd", "ZstdError", b""),
}
