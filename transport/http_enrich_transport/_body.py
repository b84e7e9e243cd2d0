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

from ._errors import TransportErrorKind

_PIECE = 256 * 1024
_ZSTD_WINDOW_LOG = 23
"""8 MiB, the most that a peer may ask for over HTTP (RFC 9659 §3)."""


class BodyError(Exception):
    """The body is of no use; *kind* says why."""

    def __init__(self, kind: TransportErrorKind, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def too_large(limit: int) -> BodyError:
    """Return the error for a body beyond *limit* bytes."""
    return BodyError(TransportErrorKind.BODY_TOO_LARGE, f"the body is larger than {limit} bytes")


def accept_encoding() -> str:
    """Return what to ask peers for: the codings that can be undone on this machine."""
    return ", ".join(name for name in _DECODERS if _DECODERS[name].installed)


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
        known = accept_encoding()
        raise BodyError(
            TransportErrorKind.CONTENT_ENCODING, f"the body is coded as {name[:40]!r}; known here: {known}"
        )
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
    while body := body.lstrip(b"\0"):
        body = yield from _inflate(body, zlib.MAX_WBITS | 16)


def _deflate(body: bytes) -> Iterator[bytes]:
    # Some servers leave out the zlib header that RFC 9110 §8.4.1.2 asks for.
    wrapped = body[0] & 15 == 8 and int.from_bytes(body[:2]) % 31 == 0
    if (yield from _inflate(body, zlib.MAX_WBITS if wrapped else -zlib.MAX_WBITS)):
        raise zlib.error


def _inflate(body: bytes, window: int) -> Generator[bytes, None, bytes]:
    """Yield what one stream at the start of *body* holds; return what follows it."""
    decoder = zlib.decompressobj(window)
    while not decoder.eof:
        piece = decoder.decompress(body, _PIECE)
        body = decoder.unconsumed_tail
        if not piece and not body and not decoder.eof:
            raise _cut_short()
        yield piece
    return decoder.unused_data


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
    while body:  # frames may follow one another (RFC 8878 §3)
        decoder = zstd.ZstdDecompressor(options=options)
        while not decoder.eof:
            piece = decoder.decompress(body, _PIECE)
            body = b""
            if not piece and decoder.needs_input:
                raise _cut_short()
            yield piece
        body = decoder.unused_data


class _Decoder:
    """One coding, if its library is installed."""

    def __init__(self, pieces: Callable[[bytes], Iterator[bytes]], library: str, failure: str) -> None:
        self.pieces = pieces
        self.failure: type[Exception] = zlib.error
        try:
            self.failure = getattr(import_module(library), failure)
        except ImportError:
            self.installed = False
        else:
            self.installed = True


_DECODERS = {
    "gzip": _Decoder(_gzip, "zlib", "error"),
    "deflate": _Decoder(_deflate, "zlib", "error"),
    "br": _Decoder(_brotli, "brotli", "error"),
    "zstd": _Decoder(_zstd, "backports.zstd", "ZstdError"),
}
