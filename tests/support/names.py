"""A name service that tests can break."""

from __future__ import annotations

import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

NXDOMAIN = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
SERVFAIL = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

Answer = str | list[str] | Exception | None
"""Addresses, a failure, or None for none at all until `release` is set."""


class Names:
    """Acts like `socket.getaddrinfo` for the hosts that it knows."""

    def __init__(self, hosts: dict[str, Answer]) -> None:
        self.hosts = hosts
        self.asked: Counter[str] = Counter()
        self.release = threading.Event()

    def getaddrinfo(self, host: str, port: Any, *options: Any) -> list[Any]:
        self.asked[host] += 1
        answer = self.hosts.get(host, NXDOMAIN)
        if answer is None:
            self.release.wait(30)
            answer = self.hosts[host] or SERVFAIL
        if isinstance(answer, Exception):
            raise answer
        addresses = [answer] if isinstance(answer, str) else answer
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, 0)) for each in addresses]


@contextmanager
def resolving(**hosts: Answer) -> Iterator[Names]:
    """Replace the system's resolver; in the names of *hosts* an underscore stands for a dot."""
    names = Names({host.replace("_", "."): answer for host, answer in hosts.items()})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", names.getaddrinfo)
        try:
            yield names
        finally:
            names.release.set()
