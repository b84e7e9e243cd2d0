"""Lets the author of a pipeline say what an answer means."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal, NamedTuple, Self

import msgspec
from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from http_enrich_middleware import (
    RUN_STOPPED,
    Failure,
    Middleware,
    MiddlewareConfig,
    RequestExchange,
    RunState,
    Step,
    Verdict,
    WorkerRuntime,
)
from http_enrich_transport import Bytes, Settings

from ._conditions import check_condition, compile_condition, read_status

Action = Literal["success", "retry", "ignore", "fail_row", "fail_run", "refresh_auth"]

_VERDICTS = {
    "success": Verdict.SUCCESS,
    "ignore": Verdict.IGNORE,
    "refresh_auth": Verdict.REFRESH_AUTH,
}
_FAILURES = {
    "retry": "response_rule",
    "fail_row": "response_rule",
    "fail_run": RUN_STOPPED,
    "refresh_auth": "auth_rejected",
}


class RuleConfig(Settings):
    """What to do about answers that have one of these statuses, and something in their body."""

    status: Annotated[frozenset[int] | None, BeforeValidator(read_status)] = None
    """A status, `2xx`, `400-499`, or a list of those; default: any."""
    when: Annotated[str, AfterValidator(check_condition)] | None = None
    """A JMESPath over the JSON body; true unless it gives false, null or something empty."""
    action: Action
    message: str | None = Field(default=None, min_length=1, max_length=500)
    """What `http.error` says; default: the number of the rule and the status."""

    @model_validator(mode="after")
    def _asks_something(self) -> Self:
        if self.status is None and self.when is None:
            msg = "a rule needs status, when, or both; for any answer write status: 100-999"
            raise ValueError(msg)
        return self


def _some(rules: tuple[RuleConfig, ...]) -> tuple[RuleConfig, ...]:
    if not rules:
        msg = "expected at least one rule"
        raise ValueError(msg)
    return rules


class Config(MiddlewareConfig):
    """The first rule that matches an answer decides; an answer that none matches is what its status says."""

    type: Literal["response_rules"] = "response_rules"
    rules: Annotated[tuple[RuleConfig, ...], AfterValidator(_some)]
    max_body: Bytes = Field(default=1024 * 1024, validate_default=True)
    """Larger bodies are not looked into; to decode one keeps all other rows of the worker waiting."""


def build(config: Config, runtime: WorkerRuntime) -> Middleware:
    """Build the middleware; it keeps no state."""
    rules = [_Rule.of(number, each) for number, each in enumerate(config.rules, 1)]
    # Most answers have a status that no rule is about, and cost one look here.
    by_status = {
        status: found
        for status in range(100, 1000)
        if (found := [rule for rule in rules if rule.status is None or status in rule.status])
    }
    run, max_body = runtime.run, int(config.max_body)

    def judge(exchange: RequestExchange, _: None) -> None:
        candidates = by_status.get(exchange.status or 0)
        if candidates is not None and _is_unjudged(exchange):
            rule = _first_match(candidates, exchange, max_body)
            if rule is not None:
                rule.apply(exchange, run)

    return Step(after=judge)


def _is_unjudged(exchange: RequestExchange) -> bool:
    """Say whether there is a whole answer on which no step below has given its opinion."""
    response = exchange.response
    return (
        response is not None
        and response.error is None
        and exchange.failure is None
        and exchange.verdict is None
    )


class _Rule(NamedTuple):
    """A rule as a worker needs it; numbers count from 1, as people do."""

    number: int
    status: frozenset[int] | None
    holds: Callable[[Any], bool] | None
    action: Action
    message: str | None

    @classmethod
    def of(cls, number: int, config: RuleConfig) -> Self:
        holds = None if config.when is None else compile_condition(config.when)
        return cls(number, config.status, holds, config.action, config.message)

    def apply(self, exchange: RequestExchange, run: RunState) -> None:
        """Do to *exchange* what the rule says."""
        action = self.action
        exchange.verdict = _VERDICTS.get(action)
        kind = _FAILURES.get(action)
        if kind is None:
            return
        default = f"response_rules, rule {self.number}: {action} on status {exchange.status}"
        message = self.message or default
        exchange.failure = Failure(kind, message, retry=action == "retry")
        if action == "fail_run":
            run.stop(message)


def _first_match(candidates: list[_Rule], exchange: RequestExchange, max_body: int) -> _Rule | None:
    """Return the first of *candidates* that is about *exchange*; its body is decoded once, if at all."""
    body: Any = _UNREAD
    for rule in candidates:
        holds = rule.holds
        if holds is None:
            return rule
        if body is _UNREAD:
            body = _decoded(exchange, max_body)
        if body is not _UNREADABLE and _is_met(holds, body, rule.number, exchange):
            return rule
    return None


_UNREAD, _UNREADABLE = object(), object()

_decode = msgspec.json.Decoder().decode


def _decoded(exchange: RequestExchange, max_body: int) -> Any:
    """Return the body as JSON; what is none matches no `when`, and is left to `json_body`."""
    response = exchange.response
    body = response.body if response is not None else b""
    if len(body) > max_body:
        exchange.metadata["response_rules.unread"] = f"the body of {len(body)} bytes exceeds max_body"
        return _UNREADABLE
    try:
        return _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _UNREADABLE


def _is_met(holds: Callable[[Any], bool], body: Any, number: int, exchange: RequestExchange) -> bool:
    try:
        return holds(body)
    except Exception as error:  # noqa: BLE001 - a text where a number should be is for the author to see
        exchange.metadata["response_rules.error"] = f"rule {number}: {type(error).__name__}"
        return False
