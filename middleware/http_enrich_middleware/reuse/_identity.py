"""When two requests are the same one."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field

from http_enrich_middleware import MiddlewareConfig
from http_enrich_transport import TransportRequest, is_token

SAFE = ("GET", "HEAD", "OPTIONS")
"""Methods that only ask (RFC 9110 §9.2.1); another one has an effect, which each row wants for itself."""


def _token(method: str) -> str:
    if not is_token(method):
        msg = f"{method!r} is no method"
        raise ValueError(msg)
    return method.upper()


class ReuseConfig(MiddlewareConfig):
    """What steps have in common that give one answer to several rows."""

    changes_answers: ClassVar[bool] = False

    methods: Annotated[frozenset[Annotated[str, AfterValidator(_token)]], Field(min_length=1)] = frozenset(
        SAFE
    )
    """Methods whose answers may be shared."""


def identity(request: TransportRequest) -> Hashable:
    """
    Return a key that is equal for requests that ask the same.

    All headers count, those that prove who is asking among them: what one may
    read is not handed to another.
    """
    return (request.method, request.url, request.body, frozenset(request.headers.items()))
