"""Sends a key with every request, in a header or in the query."""

from __future__ import annotations

import re
from typing import Literal, Self
from urllib.parse import quote, unquote_plus

from pydantic import Field, model_validator

from http_enrich_middleware import Failure, Middleware, NotSentError, WorkerRuntime
from http_enrich_transport import SecretText, TransportRequest

from ._credentials import AuthConfig, Credentials, HeaderName, Put, credentials_for, sendable

_SEPARATORS = re.compile("[&;]")  # the second one is an old custom that some servers keep

HEADER = "X-Api-Key"
"""What most APIs call the header."""


class Config(AuthConfig):
    """A key in a header (default: `X-Api-Key`), or in a parameter of the query."""

    type: Literal["api_key"] = "api_key"
    key: SecretText
    header: HeaderName | None = None
    """Default: `X-Api-Key`, unless there is `query`."""
    query: str | None = Field(default=None, min_length=1)
    """The parameter's name; keys in addresses end up in logs of servers, so prefer a header."""
    prefix: str = ""
    """What stands before the key in the header, such as `Token ` with its blank."""

    @model_validator(mode="after")
    def _goes_to_one_place(self) -> Self:
        if self.query is not None and self.header is not None:
            msg = "give one of header and query: the key is sent once"
            raise ValueError(msg)
        if self.query is not None and self.prefix:
            msg = "a prefix is for the header; in the query there is the key alone"
            raise ValueError(msg)
        return self


def build(config: Config, runtime: WorkerRuntime) -> Middleware:
    """Build the middleware; it keeps no state. Raises `ValueError` for a key that no header can carry."""
    origin = credentials_for(config, runtime)
    key = config.key.get_secret_value()
    runtime.redactor.add(key)
    put = _in_query(config.query, key) if config.query else _in_header(config, key)
    credentials = Credentials(*([] if config.query else [config.header or HEADER]))

    return credentials.step(origin, put)


def _in_header(config: Config, key: str) -> Put:
    name = config.header or HEADER
    value = sendable(config.prefix + sendable(key, "the key"), "the prefix")

    def put(request: TransportRequest) -> None:
        request.headers[name] = value

    return put


def _in_query(name: str, key: str) -> Put:
    pair = f"{quote(name, safe='')}={quote(key, safe='')}"

    def put(request: TransportRequest) -> None:
        url = request.url
        _, mark, query = url.partition("?")
        # A value out of a row must not stand where the server looks for the key.
        if query and name in map(_name, _SEPARATORS.split(query)):
            what = f"the address has the parameter {name!r} already, which is the key's"
            raise NotSentError(Failure("invalid_request", what))
        joint = "" if url.endswith(("?", "&")) else "&" if mark else "?"
        request.url = url + joint + pair

    return put


def _name(pair: str) -> str:
    return unquote_plus(pair.partition("=")[0])
