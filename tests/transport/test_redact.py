"""Addresses in logs and messages."""

from __future__ import annotations

import pytest

from http_enrich_transport import redact_url


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://api.test", "http://api.test"),
        ("https://api.test:8443/a/b", "https://api.test:8443/a/b"),
        ("http://api.test/a%20b", "http://api.test/a%20b"),
        ("http://[::1]:80/a", "http://[::1]:80/a"),
        ("http://api.test/a?key=canary", "http://api.test/a?***"),
        ("http://api.test/a?canary", "http://api.test/a?***"),
        ("http://api.test?key=canary", "http://api.test?***"),
        ("http://api.test/a#canary", "http://api.test/a"),
        ("http://api.test/a?b#canary", "http://api.test/a?***"),
        ("http://canary@api.test/a", "http://api.test/a"),
        ("http://user:canary@api.test:80/a", "http://api.test:80/a"),
        ("http://user:can@ary@api.test/a", "http://api.test/a"),
        ("//user:canary@api.test/a", "://api.test/a"),
        ("http://user:canary@[::1/a", "<unreadable address>"),
        ("http://user:canary@[no-address]/a", "<unreadable address>"),
        ("", "<unreadable address>"),
        ("http:user:canary@api.test/a", "<unreadable address>"),
    ],
)
def test_user_info_query_and_fragment_are_not_shown(url: str, shown: str) -> None:
    assert redact_url(url) == shown
