"""Where requests may go."""

from __future__ import annotations

import re
from ipaddress import ip_network
from typing import Annotated

from pydantic import AfterValidator

from http_enrich_transport._settings import Settings

_HOST = re.compile(r"(?=.{1,253}\Z)([A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?\.)*[A-Za-z][A-Za-z0-9_-]*")


def _target(value: str) -> str:
    try:
        return str(ip_network(value, strict=False))
    except ValueError:
        if _HOST.fullmatch(value):
            return value.lower()
    msg = f"{value!r} is no address, network (10.1.0.0/16) or host name"
    raise ValueError(msg)


class EgressConfig(Settings):
    """
    Exceptions from the rule which addresses are off limits.

    The rule: private and loopback addresses only for the host that `base_url`
    names; link-local, metadata and multicast addresses never.
    """

    allow: list[Annotated[str, AfterValidator(_target)]] = []
    """Networks and addresses to allow; host names, whose private addresses are then allowed too."""
