"""Decides which addresses a request may go to."""

from __future__ import annotations

import errno
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

from http_enrich_transport.config import EgressConfig

Address = IPv4Address | IPv6Address

# What a cloud's machine tells about itself, keys included, at addresses that are
# not link-local: Azure, Alibaba, Oracle, AWS over IPv6.
_METADATA = ("168.63.129.16/32", "100.100.100.200/32", "192.0.0.192/32", "fd00:ec2::254/128")

_NEVER = [
    ip_network(each)
    for each in (
        *_METADATA,
        "0.0.0.0/8",
        "169.254.0.0/16",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "::/128",
        "64:ff9b:1::/48",  # each network puts the IPv4 address elsewhere (RFC 8215)
        "fe80::/10",
        "fec0::/10",
        "ff00::/8",
    )
]

# Python takes all that it has not heard of for public; how much that is depends on its version.
_GIVEN_OUT = ip_network("2000::/3")
_PROTOCOLS = ip_network("192.0.0.0/24")

# IPv6 addresses that stand for an IPv4 address, in their last four bytes.
_NAT64 = (ip_network("64:ff9b::/96"), ip_network("::/96"))


class EgressBlockedError(OSError):
    """The address is off limits; equal for every address, so that happy eyeballs keeps its type."""

    def __init__(self) -> None:
        remedy = "the address is private or otherwise off limits; transport.egress.allow can list it"
        super().__init__(errno.EACCES, remedy)


class EgressPolicy:
    """
    The addresses that may be connected to.

    A host that the pipeline names literally, in `base_url` or `allow`, may be
    at a private address; one that came from data may not.
    """

    def __init__(self, config: EgressConfig, *, named: tuple[str | None, ...] = ()) -> None:
        self._networks = [ip_network(each) for each in config.allow if _is_network(each)]
        listed = {each for each in config.allow if not _is_network(each)}
        self._named = frozenset(listed | {host_of(url) for url in named if url})

    def allows(self, address: str, host: str) -> bool:
        """Say whether *host* may be connected to at *address*, which is a literal."""
        host = host.lower()
        found = ip_address(address.partition("%")[0])
        inner = _unwrapped(found)
        if any(each in network for network in self._networks for each in (found, inner)):
            return True
        if any(inner in network for network in _NEVER):
            return False
        return _is_public(inner) or host in self._named

    def names(self, host: str) -> bool:
        """Say whether the pipeline names *host* literally; all one can ask when a proxy looks it up."""
        host = host.lower()
        return host in self._named or (_is_network(host) and self.allows(host, host))


def host_of(url: str) -> str:
    """Return the host of *url* as engines see it: lower case, no brackets."""
    return urlsplit(url).hostname or ""


@lru_cache(4096)
def is_address(host: str) -> bool:
    """Say whether *host* is an IP address, in the one way to write it."""
    try:
        ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def _is_network(value: str) -> bool:
    try:
        ip_network(value)
    except ValueError:
        return False
    return True


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv6Address) and address not in _GIVEN_OUT:
        return False
    return address.is_global and address not in _PROTOCOLS


def _unwrapped(address: Address) -> Address:
    """Return the IPv4 address that *address* leads to, if it is such an IPv6 address."""
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped or address.sixtofour:
        return address.ipv4_mapped or address.sixtofour or address
    if address.teredo:
        return address.teredo[1]
    if any(address in network for network in _NAT64) and int(address) > 1:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address
