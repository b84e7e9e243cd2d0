"""The connection pool."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from http_enrich_transport._settings import Count, Seconds, Settings


class PoolConfig(Settings):
    """The connection pool of one worker process."""

    limit: Count = 10
    """Connections in use at a time, per worker process."""
    keepalive_timeout: Seconds = 15
    """Seconds an idle connection is kept; less than the server's, or it hangs up on a request."""
    ttl_dns_cache: Seconds = 60
    """Seconds for which an address is taken as known; 0 asks for every new connection."""


class TcpConnectionConfig(PoolConfig):
    """The pool of an engine that makes its own sockets."""

    limit_per_host: Count | None = None
    """Concurrent connections to one host; default: `limit`."""
    force_close: bool = False
    """Close every connection after its answer."""
    happy_eyeballs_delay: Seconds | None = 0.25
    """
    Seconds until the next address of a host is tried beside one that does not answer.

    250 ms as RFC 8305 §5 recommends; null tries one after the other.
    """
    family: Literal["any", "ipv4", "ipv6"] = "any"
    """The addresses to connect to."""

    @property
    def per_host(self) -> int:
        """Concurrent connections to one host."""
        return self.limit_per_host or self.limit

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if self.per_host > self.limit:
            msg = f"limit_per_host is {self.per_host}, but limit allows {self.limit} connections in all"
            raise ValueError(msg)
        if self.force_close and "keepalive_timeout" in self.model_fields_set:
            msg = "force_close keeps no connection; leave out keepalive_timeout"
            raise ValueError(msg)
        return self
