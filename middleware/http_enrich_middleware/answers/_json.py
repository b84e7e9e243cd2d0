"""What is wrong with a body that should be JSON (RFC 8259)."""

from __future__ import annotations

import math
import re
from itertools import accumulate
from typing import NamedTuple

import msgspec

MAX_DEPTH = 500
"""Arrays and objects within each other; Jackson, which reads the columns, ends at 1,000."""

MAX_NUMBER = 1000
"""Characters of a number; where Jackson ends too (`StreamReadConstraints`, 2.15 and later)."""


class Fault(NamedTuple):
    """The kind, a stable word, and the rest of a sentence that begins with "the body"."""

    kind: str
    reason: str


_EMPTY = Fault("json_invalid", "is empty")
_NO_UTF_8 = Fault("json_encoding", "is not UTF-8")
_MARK = Fault("json_encoding", "begins with a byte order mark, which JSON must not")
_WIDE = Fault("json_encoding", "is UTF-16 or UTF-32, where JSON has to be UTF-8")
_HALF = Fault("json_encoding", "has half of a surrogate pair, which is no character")
_NUMBER = Fault("json_number", f"has a number of more than {MAX_NUMBER} characters, or beyond 1.8e308")
_DEEP = Fault("json_too_deep", f"has arrays or objects more than {MAX_DEPTH} deep")

# Raw checks the grammar without building objects.
_check_grammar = msgspec.json.Decoder(msgspec.Raw).decode

# Every digit, and the plus of an exponent, becomes 0: then two plain searches find what may be too large.
_SHAPE = bytes.maketrans(b"+123456789E", b"0000000000e")
_LARGE_EXPONENT = b"0e000"
_LARGE_MANTISSA = b"0" * 309  # the largest double is 1.8e308
_THIRD = len(_LARGE_MANTISSA) // 3

_NUMBERS = re.compile(rb"[-+.0-9eE]{5,}")  # nothing shorter is too large
_ESCAPES = re.compile(
    rb"(\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|\\u[dD][89a-fA-F][0-9a-fA-F]{2}"
)
"""An escaped backslash or a whole surrogate pair, which is the group, or else half a pair."""

_STEP = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_NO_BRACKETS = bytes(set(range(256)) - set(_STEP))


def find_fault(body: bytes) -> Fault | None:
    """
    Return what is wrong with *body*, None if it is strict JSON within the limits.

    Raises nothing, whatever the bytes. Ordinary bodies are read once, without an
    object being made; only one that has something unusual is looked at again.
    """
    try:
        if not body.isascii():
            body.decode()
        _check_grammar(body)
    except UnicodeDecodeError:
        return _NO_UTF_8
    except RecursionError:
        return _DEEP
    except msgspec.DecodeError as error:
        return _explained(body, error)
    shape = body.translate(_SHAPE)
    # So many digits in a row show up in every third of their number as well, which is quicker to see.
    if (
        _LARGE_EXPONENT in shape or (b"000" in shape[::_THIRD] and _LARGE_MANTISSA in shape)
    ) and _has_large_number(body):
        return _NUMBER
    if len(body) > 2 * MAX_DEPTH and body.count(b"[") + body.count(b"{") > MAX_DEPTH and _is_deep(body):
        return _DEEP
    return None


def _explained(body: bytes, error: msgspec.DecodeError) -> Fault:
    """Say in which way *body* breaks the grammar."""
    if not body.strip():
        return _EMPTY
    if body.startswith(b"\xef\xbb\xbf"):
        return _MARK
    if b"\0" in body[:4]:
        return _WIDE
    # Half a pair is fine by the grammar: if mending it mends the body, it was that.
    mended, _ = _ESCAPES.subn(lambda found: found[1] or b"\\ufffd", body)
    if mended != body and _is_json(mended):
        return _HALF
    # The words are those of the parser; they give the place and nothing of the body.
    reason = str(error).removeprefix("JSON is malformed: ").lower()
    return Fault("json_invalid", f"is not JSON: {reason}")


def _is_json(body: bytes) -> bool:
    try:
        _check_grammar(body)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def _has_large_number(body: bytes) -> bool:
    return any(
        len(number) > MAX_NUMBER or math.isinf(float(number)) for number in _NUMBERS.findall(_outside(body))
    )


def _is_deep(body: bytes) -> bool:
    brackets = _outside(body).translate(None, _NO_BRACKETS)
    return max(accumulate(map(_STEP.__getitem__, brackets)), default=0) > MAX_DEPTH


def _outside(body: bytes) -> bytes:
    """Return *body*, which is JSON, without its strings."""
    return b" ".join(body.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')[::2])
