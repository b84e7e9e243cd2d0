"""Logs exchanges: failures first, successes as a sample."""

from __future__ import annotations

import logging
from typing import Literal

from pydantic import Field

from http_enrich_middleware import Handler, Middleware, MiddlewareConfig, RequestExchange, WorkerRuntime
from http_enrich_transport import redact_url

logger = logging.getLogger("http_enrich")


class Config(MiddlewareConfig):
    """One line per logged exchange, without headers, bodies and query values."""

    type: Literal["logging"] = "logging"
    level: Literal["DEBUG", "INFO", "WARNING"] = "INFO"
    """Level of the lines about successes; failures are warnings."""
    sample: float = Field(default=0.001, ge=0, le=1)
    """Share of the successes that is logged, spread evenly."""
    max_failures: int = Field(default=100, ge=0)
    """Failures logged per worker process; a dead API must not fill the disk."""


def build(config: Config, runtime: WorkerRuntime) -> Middleware:
    """Build the middleware; it counts lines per worker process."""
    log = _Log(config)

    async def logging_(exchange: RequestExchange, call_next: Handler) -> RequestExchange:
        exchange = await call_next(exchange)
        log.write(exchange)
        return exchange

    return logging_


class _Log:
    def __init__(self, config: Config) -> None:
        self._config = config
        self._level = logging.getLevelNamesMapping()[config.level]
        self._failures = 0
        self._successes = 0

    def write(self, exchange: RequestExchange) -> None:
        if exchange.error_kind is None:
            before, self._successes = self._successes, self._successes + 1
            if int(self._successes * self._config.sample) > int(before * self._config.sample):
                _line(self._level, exchange)
        elif self._failures < self._config.max_failures:
            self._failures += 1
            _line(logging.WARNING, exchange)


def _line(level: int, exchange: RequestExchange) -> None:
    request = exchange.request
    logger.log(
        level,
        "%s %s status=%s attempts=%d error=%s",
        request.method,
        redact_url(request.url),
        exchange.status,
        exchange.attempts,
        exchange.error_kind,
    )
