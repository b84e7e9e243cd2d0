"""What a peer says about how long it wants to be left alone."""

from __future__ import annotations

import pytest
from multidict import CIMultiDict

from http_enrich_middleware import retry_after

NOW = 1_800_000_000.0  # Fri, 15 Jan 2027 08:00:00 GMT


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("2", 2.0),
        (" 2 ", 2.0),
        ("300", 300.0),
        ("301", 300.0),
        ("1000000000", 300.0),
        ("9" * 5000, 300.0),
        ("Fri, 15 Jan 2027 08:00:07 GMT", 7.0),
        ("Friday, 15-Jan-27 08:00:07 GMT", 7.0),
        ("Fri Jan 15 08:00:07 2027", 7.0),
        ("Fri, 15 Jan 2027 10:00:00 +0200", None),
        ("Fri, 15 Jan 2027 08:00:00 GMT", None),
        ("Fri, 15 Jan 2027 07:59:59 GMT", None),
        ("Fri, 31 Dec 2100 23:59:59 GMT", 300.0),
        ("Fri, 99 Foo 2027 08:00:07 GMT", None),
        ("", None),
        ("-5", None),
        ("+5", None),
        ("1.5", None),
        ("1e3", None),
        ("NaN", None),
        ("inf", None),
        ("²", None),
        ("soon", None),
    ],
)
def test_one_header(text: str, seconds: float | None) -> None:
    assert retry_after({"Retry-After": text}, NOW) == seconds


def test_no_header() -> None:
    assert retry_after(CIMultiDict(), NOW) is None


def test_of_two_headers_the_longer_wait_counts() -> None:
    headers = CIMultiDict([("retry-after", "2"), ("Retry-After", "5"), ("retry-after", "junk")])

    assert retry_after(headers, NOW) == 5.0
