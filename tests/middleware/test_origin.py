"""Which addresses credentials may go to."""

from __future__ import annotations

import pytest

from http_enrich_middleware import Origin, origin_of

SAME = [
    "https://api.test/",
    "https://api.test",
    "https://api.test/v1?x=1#y",
    "https://api.test:443/v1",
    "https://API.test/v1",
    "HTTPS://api.test/v1",
    "https://api.test?x=1",
    "https://user:password@api.test/v1",
]
OTHER = [
    "http://api.test/",
    "https://api.test:444/",
    "https://api.test.evil/",
    "https://evil/https://api.test/",
    "https://api.test@evil/",
    "https://api.test:443@evil/",
    "https://evil\\@api.test/",
    "https://sub.api.test/",
    "//api.test/",
    "/v1",
    "",
    "file://api.test/",
    "https://api.test:99999/",
]


@pytest.mark.parametrize("base", ["https://api.test", "https://api.test/v2", "https://API.test:443"])
@pytest.mark.parametrize("url", SAME)
def test_scheme_host_and_port_make_an_origin(base: str, url: str) -> None:
    assert Origin(base).covers(url)


@pytest.mark.parametrize("url", OTHER)
def test_everything_else_is_another_one(url: str) -> None:
    assert not Origin("https://api.test").covers(url)


@pytest.mark.parametrize("url", OTHER)
def test_an_unknown_origin_covers_nothing(url: str) -> None:
    assert not Origin("").covers(url)


def test_an_origin_has_one_spelling() -> None:
    assert origin_of("HTTPS://me@API.test/v1") == "https://api.test:443"
    assert origin_of("http://[::1]:8080/x") == "http://[::1]:8080"
    assert origin_of("ftp://api.test") == ""
