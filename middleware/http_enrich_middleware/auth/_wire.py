"""What of an address the peer gets to see, for those who sign it."""

from __future__ import annotations

import re
from typing import NamedTuple

_PARTS = re.compile(r"(https?)://([^/?#]*)([^?#]*)(?:\?([^#]*))?.*", re.IGNORECASE | re.DOTALL)
_DEFAULT_PORT = {"http": ":80", "https": ":443"}


class Address(NamedTuple):
    """
    An address taken apart; *url* is the address to send.

    *host* is what engines write into the `Host` header: lower case, with a port
    unless it is the scheme's own. *path* is never empty, *query* is without its
    mark; both are as percent-encoded as they were.
    """

    url: str
    scheme: str
    host: str
    path: str
    query: str

    @property
    def path_and_query(self) -> str:
        """The target of the request line."""
        return f"{self.path}?{self.query}" if self.query else self.path


def address_of(url: str) -> Address:
    """Take *url* apart; raises `ValueError` if it is no http or https address."""
    match = _PARTS.fullmatch(url)
    if match is None:
        msg = "no http or https address"
        raise ValueError(msg)
    scheme, authority = match[1].lower(), match[2].lower()
    host = authority.rpartition("@")[2].removesuffix(_DEFAULT_PORT[scheme])
    # Some engines write the host as it is spelled, others in lower case; a signature leaves no such choice.
    sent = f"{scheme}://{authority}{url[match.end(2) :]}"
    return Address(sent, scheme, host, match[3] or "/", match[4] or "")
