"""Sends an API's key in a header or in the query."""

from __future__ import annotations

from typing import Annotated, Literal, Self
from urllib.parse import quote, unquote_plus

import msgspec
from pydantic import AfterValidator, Field, model_validator

from http_enrich_middleware import Failure, Handler, Middleware, Origin, RequestExchange, WorkerRuntime
from http_enrich_transport import SecretText

from ._credentials import AuthConfig, credentials_for, header_name


class Config(AuthConfig):
    """The key goes into one header, or into one query parameter."""

    type: Literal["api_key"] = "api_key"
    key: SecretText
    header: Annotated[str, AfterValidator(header_name)] | None = None
    """Default, unless `query` is given: `X-Api-Key`."""
    query: Annotated[str, Field(min_length=1)] | None = None
    """Name of a parameter. Addresses are logged by servers and proxies: prefer a header."""
    prefix: str = ""
    """Text before the key in the header, such as `"Token "`."""

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if self.header is not None and self.query is not None:
            msg = "give one of header and query"
            raise ValueError(msg)
        if self.query is not None and self.prefix:
            msg = "prefix goes with header"
            raise ValueError(msg)
        return self


def build(config: Config, runtime: WorkerRuntime) -> Middleware:
    """Build the middleware; it keeps no state."""
    origin = credentials_for(config, runtime)
    runtime.redactor.add(config.key.get_secret_value())
    if config.query is not None:
        return _in_query(origin, config.query, config.key.get_secret_value())
    return _in_header(origin, config.header or "X-Api-Key", config.prefix + config.key.get_secret_value())


def _in_header(origin: Origin, header: str, value: str) -> Middleware:
    async def api_key(exchange: RequestExchange, call_next: Handler) -> RequestExchange:
        if origin.covers(exchange.request.url):
            exchange.request.headers[header] = value
        return await call_next(exchange)

    return api_key


def _in_query(origin: Origin, name: str, key: str) -> Middleware:
    parameter = f"{quote(name, safe='')}={quote(key, safe='')}"

    async def api_key(exchange: RequestExchange, call_next: Handler) -> RequestExchange:
        request = exchange.request
        if not origin.covers(request.url):
            return await call_next(exchange)
        address, _, query = request.url.partition("?")
        if name in {unquote_plus(each.partition("=")[0]) for each in query.split("&")}:
            message = f"the row's address has a parameter {name!r} already, which is the API key's"
            exchange.failure = Failure("invalid_request", message)
            return exchange
        query = f"{query}&{parameter}" if query else parameter
        exchange.request = msgspec.structs.replace(request, url=f"{address}?{query}")
        exchange = await call_next(exchange)
        # Whoever stands outside logs the address, and a retry comes by here again.
        exchange.request = request
        return exchange

    return api_key
