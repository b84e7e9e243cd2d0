"""Tells one peer from another."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

from http_enrich_transport import split_http_url

_PORTS = {"http": 80, "https": 443}


def origin_of(url: str) -> str:
    """
    Return scheme, host and port of *url* (RFC 6454 §4); empty if it is no http or https address.

    Another port or scheme is another origin: what is sent to one must not leak to the other.
    """
    parts = split_http_url(url)
    # Some parsers take a backslash for a slash: where it stands, nobody knows whom they are talking to.
    if parts is None or "\\" in url:
        return ""
    host = (parts.hostname or "").lower()
    written = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{written}:{parts.port or _PORTS[parts.scheme]}"


def _exact(value: str) -> str:
    origin = origin_of(value)
    if not origin or value.rstrip("/").count("/") > len("//") or any(each in value for each in "@?#"):
        msg = "expected an origin such as https://api.example.com, without a path"
        raise ValueError(msg)
    return origin


OriginName = Annotated[str, AfterValidator(_exact)]
"""An origin in a configuration; spelt as `origin_of` spells it."""


class Origin:
    """The origin that credentials are for."""

    def __init__(self, url: str) -> None:
        self.name = origin_of(url)
        scheme, _, rest = url.partition("://")
        # What addresses of this origin usually begin with; others are looked at more closely.
        self._prefix = f"{scheme}://{rest.partition('/')[0]}/"

    def covers(self, url: str) -> bool:
        """Say whether *url* leads to this origin."""
        if not self.name:
            return False
        return url.startswith(self._prefix) or origin_of(url) == self.name
