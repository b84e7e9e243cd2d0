"""What every kind of credentials has in common: whom they are for, and how they get into a request."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import AfterValidator, PlainValidator

from http_enrich_middleware import (
    MiddlewareConfig,
    Origin,
    OriginName,
    RequestExchange,
    Step,
    WorkerRuntime,
)
from http_enrich_transport import ENGINE_HEADERS, SecretText, TransportRequest, is_token

# RFC 9110 §5.5: blanks at the ends are no part of a value, and beyond ASCII nobody agrees on an encoding.
_VISIBLE = re.compile(r"[!-~]([ -~]*[!-~])?")


def _header(name: str) -> str:
    if not is_token(name):
        msg = "this is no name of a header: letters, digits and dashes, without blanks and colon"
        raise ValueError(msg)
    if name.lower() in ENGINE_HEADERS:
        msg = f"the header {name!r} is written by the engine, and cannot be set"
        raise ValueError(msg)
    return name


def _identity(value: Any) -> str | SecretText:
    if isinstance(value, SecretText) and value.get_secret_value():
        return value
    if isinstance(value, str) and value:
        return value
    msg = "expected a text (a number goes into quotes), or ${conn.ID.login}"
    raise ValueError(msg)


HeaderName = Annotated[str, AfterValidator(_header)]
"""The name of a header that can be set."""

Identity = Annotated[str | SecretText, PlainValidator(_identity)]
"""Who we are: a text that need not be secret, and is treated as a secret if it comes from a connection."""

Put = Callable[[TransportRequest], None]
"""Writes credentials into a request."""


class AuthConfig(MiddlewareConfig):
    """Credentials are sent to one origin, and to no other, wherever redirects lead."""

    origin: OriginName | None = None
    """Default: that of `endpoint.base_url`."""


def credentials_for(config: AuthConfig, runtime: WorkerRuntime) -> Origin:
    """Return the origin that *config*'s credentials are for; raises `ValueError` if it is unknown."""
    origin = Origin(config.origin or runtime.base_url)
    if not origin.name:
        msg = f"{config.type} does not know whom its credentials are for; give it an origin"
        raise ValueError(msg)
    return origin


def plain(value: str | SecretText) -> str:
    """Return the text of *value*, secret or not."""
    return value.get_secret_value() if isinstance(value, SecretText) else value


def sendable(text: str, what: str) -> str:
    """Return *text* if a header can carry it; raises `ValueError`, which says *what* it is, not the text."""
    if not _VISIBLE.fullmatch(text):
        why = "a line break, a blank at an end or a character beyond ASCII"
        msg = f"{what} has {why}, which a header cannot carry"
        raise ValueError(msg)
    return text


class Credentials:
    """
    Puts credentials into a request for as long as it is on its way.

    *names* are the headers that they take. Afterwards the request is the row's own
    again, so that neither a redirect nor a log outside comes across them; what
    steps below have changed in it stays.
    """

    def __init__(self, *names: str) -> None:
        self._names = names
        self._taken = frozenset(name.lower() for name in names)
        self._harmless: set[str] = set()  # rows have few names of headers between them

    def step(self, origin: Origin, put: Put) -> Step:
        """Return the middleware that lets *put*, which may raise `NotSentError`, write into requests."""
        covers, harmless, leave = origin.covers, self._harmless, self._leave

        def enter(exchange: RequestExchange) -> _Own | None:
            request = exchange.request
            url, headers = request.url, request.headers
            if not covers(url):
                return None
            own = request, url, _NONE if headers.keys() <= harmless else self._set_aside(headers)
            try:
                put(request)
            except BaseException:
                leave(exchange, own)
                raise
            return own

        return Step(enter, leave)

    def _set_aside(self, headers: dict[str, str]) -> dict[str, str]:
        # Two headers of a name in two spellings would both go on the wire, and the peer would choose.
        taken = self._taken
        aside = {name: headers.pop(name) for name in list(headers) if name.lower() in taken}
        if len(self._harmless) < _MAX_NAMES:
            self._harmless.update(headers)
        return aside

    def _leave(self, _: RequestExchange, own: _Own | None) -> None:
        if own is None:
            return
        request, url, aside = own
        headers, request.url = request.headers, url
        for name in self._names:
            headers.pop(name, None)
        if aside:
            headers.update(aside)


_NONE: dict[str, str] = {}
_MAX_NAMES = 100

_Own = tuple[TransportRequest, str, dict[str, str]]
"""A request, and what of it was the row's own: its address, and the headers that have made way."""
