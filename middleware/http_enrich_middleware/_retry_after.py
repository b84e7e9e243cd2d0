"""Reads how long a peer wants to be left alone."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

LONGEST = 300.0
"""Seconds; a peer that asks for more than five minutes is not waited for that long."""

_MAX_DIGITS = 20


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """
    Return the seconds that `Retry-After` (RFC 9110 §10.2.3) asks for, `LONGEST` at most.

    *now* is the time of day in seconds since 1970, for the form that is a date.
    None stands for no header, and for one that says nothing sensible: what is
    negative, in the past or unreadable is not a wish that one can follow. Of
    several headers the longest wait counts.
    """
    found: Any = headers.getall("Retry-After", []) if hasattr(headers, "getall") else []
    if not found and "Retry-After" in headers:
        found = [headers["Retry-After"]]
    waits = [wait for wait in (_seconds(text.strip(), now) for text in found) if wait is not None]
    return min(max(waits), LONGEST) if waits else None


def _seconds(text: str, now: float) -> float | None:
    if text.isascii() and text.isdigit():
        return float(text[:_MAX_DIGITS])
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    # A date without a zone is in GMT, as HTTP has it.
    wait = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now
    return wait if wait > 0 else None
