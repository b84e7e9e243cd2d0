"""How connections are opened ahead of the first row."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from http_enrich_transport._settings import Settings


class WarmupConfig(Settings):
    """The request that a warm-up sends over each connection, if it sends one."""

    method: Literal["HEAD", "OPTIONS", "GET"] | None = None
    """Default: none, the connection is opened and that is all; an engine that cannot do so sends HEAD."""
    path: str = Field(default="", pattern=r"^(/[!-~]*)?$")
    """Percent-encoded path of that request; default: the path of `base_url`."""
