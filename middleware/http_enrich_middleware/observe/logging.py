"""Logs exchanges: failures first, successes as a sample."""

from __future__ import annotations

import logging
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field

from http_enrich_middleware import Middleware, MiddlewareConfig, RequestExchange, Step, WorkerRuntime
from http_enrich_transport import is_token

from ._line import Facts, as_json, as_text

logger = logging.getLogger("http_enrich")


def _name(value: str) -> str:
    if not is_token(value):
        msg = f"{value!r} is not the name of a header"
        raise ValueError(msg)
    return value.lower()


class Config(MiddlewareConfig):
    """One line per logged exchange, without bodies, query values and secrets; headers only if listed."""

    changes_answers: ClassVar[bool] = False
    type: Literal["logging"] = "logging"
    format: Literal["text", "json"] = "text"
    """`json`: each line is one JSON object, with the same keys in all lines about exchanges."""
    level: Literal["DEBUG", "INFO", "WARNING"] = "INFO"
    """Level of the lines about successes; failures are warnings."""
    sample: float = Field(default=0.001, ge=0, le=1)
    """Share of the successes that is logged, spread evenly."""
    max_failures: int = Field(default=100, ge=0)
    """Failures logged per worker process; a dead API must not fill the disk."""
    headers: tuple[Annotated[str, AfterValidator(_name)], ...] = ()
    """Headers of requests and answers to show; what is a secret by its name or its value is hidden."""


def build(config: Config, runtime: WorkerRuntime) -> Middleware:
    """Build the middleware; it counts lines per worker process."""
    log = _Log(config, runtime)

    def end(exchange: RequestExchange, begun: tuple[None, float]) -> None:
        level = log.level_of(exchange)
        if level is not None:
            log.write(level, exchange, begun[1])

    return Step(after=end, clock=runtime.clock)


class _Log:
    def __init__(self, config: Config, runtime: WorkerRuntime) -> None:
        self._sample, self._max_failures = config.sample, config.max_failures
        self._level = logging.getLevelNamesMapping()[config.level]
        self._facts = Facts(runtime.redactor, frozenset(config.headers))
        self._now = runtime.now
        self._json = config.format == "json"
        self._failures = 0
        self._successes = 0

    def level_of(self, exchange: RequestExchange) -> int | None:
        """Return the level of the line about *exchange*, if there is to be one."""
        if exchange.error_kind is None:
            before, self._successes = self._successes, self._successes + 1
            chosen = int(self._successes * self._sample) > int(before * self._sample)
            return self._level if chosen else None
        if self._failures >= self._max_failures:
            return None
        self._failures += 1
        return logging.WARNING

    def write(self, level: int, exchange: RequestExchange, elapsed: float) -> None:
        """Write the line about *exchange*, and that there will be none about further failures."""
        if logger.isEnabledFor(level):
            facts = self._facts.of(exchange, elapsed)
            self._line(level, "exchange", facts, "" if self._json else as_text(facts))
        if exchange.error_kind is not None and self._failures == self._max_failures:
            text = f"further failures of this worker are not logged (max_failures: {self._max_failures})"
            self._line(logging.WARNING, "failures_muted", {"max_failures": self._max_failures}, text)

    def _line(self, level: int, event: str, facts: dict[str, Any], text: str) -> None:
        if self._json:
            text = as_json(event, logging.getLevelName(level), self._now(), facts)
        # Whoever formats the line knows that it says its level itself.
        logger.log(level, "%s", text, extra={"complete": self._json})
