"""Coded bodies, whole and broken, and bombs that cost nothing to build."""

from __future__ import annotations

import gzip
import zlib
from importlib import import_module
from typing import Any

brotli: Any = import_module("brotli")
zstd: Any = import_module("backports.zstd")

TEXT = b"".join(b"%d," % number for number in range(20_000))
MIB = 1024 * 1024


def raw_deflate(data: bytes) -> bytes:
    coder = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return coder.compress(data) + coder.flush()


def gzipped(data: bytes) -> bytes:
    """Return *data* in gzip without the time of day: names of tests have to be the same in each process."""
    return gzip.compress(data, mtime=0)


CODED = {
    "gzip": gzipped(TEXT),
    "deflate": zlib.compress(TEXT),
    "raw": raw_deflate(TEXT),
    "br": brotli.compress(TEXT, quality=4),
    "zstd": zstd.compress(TEXT),
}
"""`TEXT` in every coding; raw is deflate without the header that it should have."""


def gzip_bomb(mebibytes: int) -> bytes:
    """Return a gzip body of a thousandth the size, as one block over and over."""
    coder = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    block = coder.compress(bytes(MIB)) + coder.flush(zlib.Z_FULL_FLUSH)
    return gzipped(b"")[:10] + block * mebibytes


def brotli_bomb(mebibytes: int) -> bytes:
    coder = brotli.Compressor(quality=1)
    return b"".join([coder.process(bytes(MIB)) for _ in range(mebibytes)]) + bytes(coder.finish())


def zstd_bomb(mebibytes: int) -> bytes:
    coder = zstd.ZstdCompressor()
    return b"".join([coder.compress(bytes(MIB)) for _ in range(mebibytes)]) + bytes(coder.flush())


def answer(body: bytes, *codings: str, fields: str = "") -> bytes:
    """Return an answer whose *codings* stand in a header line each."""
    lines = "".join(f"Content-Encoding: {each}\r\n" for each in codings)
    return f"HTTP/1.1 200 OK\r\n{lines}{fields}Content-Length: {len(body)}\r\n\r\n".encode() + body
