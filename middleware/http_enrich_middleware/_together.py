"""Makes one handler of several steps that stand beside each other, and of what they stand around."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ._exchange import Failure, Handler, Middleware, RequestExchange
from ._step import NotSentError, Step

Named = tuple[str, Step]


def together(steps: Sequence[Named], name: str, middleware: Middleware, call_next: Handler) -> Handler:
    """
    Return a handler that does what a chain of *steps*, outermost first, would do around one *middleware*.

    It raises nothing but cancellation: whatever of them raises costs its row.
    """
    entering = [(step.before, step.waits, step.clock) for _, step in steps if step.looks_before]
    leaving = leaving_of(steps)

    async def handle(exchange: RequestExchange) -> RequestExchange:
        kept: list[Any] = [None]
        try:
            for before, waits, clock in entering:
                got = before(exchange)
                if waits and got is not None:
                    got = await got
                kept.append(got if clock is None else (got, clock()))
            done = await middleware(exchange, call_next)
            if done is not exchange:
                exchange = _checked(done)
        except Exception as error:  # noqa: BLE001 - one row must not take the task with it
            exchange.failure, entered = explained(error, steps, name, len(kept) - 1)
            leave(exchange, leaving, kept, entered)
            return exchange
        # The same as leave, but for the call.
        for step, after, slot, _, clock in leaving:
            try:
                after(exchange, kept[slot] if clock is None else _since(kept[slot], clock))
            except Exception as error:  # noqa: BLE001 - see above
                exchange.failure = raised(step, error)
        return exchange

    return handle


Leaving = tuple[str, Callable[[RequestExchange, Any], None], int, int, Callable[[], float] | None]
"""Name, function, where what its `before` has returned is kept, its place among the steps, and its clock."""


def _since(kept: tuple[Any, float], clock: Callable[[], float]) -> tuple[Any, float]:
    got, started = kept
    return got, clock() - started


def leaving_of(steps: Sequence[Named]) -> list[Leaving]:
    """Return what *steps* do on the way back, innermost first."""
    found: list[Leaving] = []
    slots = 0
    for place, (name, step) in enumerate(steps):
        slots += step.looks_before
        if step.looks_after:
            found.append((name, step.after, slots if step.looks_before else 0, place, step.clock))
    return found[::-1]


def explained(error: Exception, steps: Sequence[Named], inner: str, done: int) -> tuple[Failure, int]:
    """Return what *error* means after *done* calls of a `before`, and the place of the step it is from."""
    named = [(place, name) for place, (name, step) in enumerate(steps) if step.looks_before]
    place, name = [*named, (len(steps), inner)][done]
    return error.failure if isinstance(error, NotSentError) else raised(name, error), place


def leave(
    exchange: RequestExchange,
    leaving: list[Leaving],
    kept: list[Any],
    entered: int,
    seconds: float | None = None,
) -> None:
    """
    Let the steps before the place *entered* have their look at what became of the row.

    With *seconds* nothing of `kept` says when the row has entered: it was away for so long.
    """
    for name, after, slot, place, clock in leaving:
        if place < entered:
            try:
                got = kept[slot]
                if clock is not None:
                    got = _since(got, clock) if seconds is None else (got, seconds)
                after(exchange, got)
            except Exception as error:  # noqa: BLE001 - one row must not take the task with it
                exchange.failure = raised(name, error)


class _NoExchangeError(Exception):
    """A middleware has returned something else; carries the name of its type."""


def _checked(done: object) -> RequestExchange:
    if isinstance(done, RequestExchange):
        return done
    raise _NoExchangeError(type(done).__name__)


def raised(name: str, error: Exception) -> Failure:
    """Return the failure of a row on which the middleware called *name* has raised *error*."""
    if isinstance(error, _NoExchangeError):
        what = f"returned a {error} instead of the exchange"
    else:
        # The text of the exception may quote headers or a body; its type and place do not.
        what = f"raised {type(error).__name__} in {_origin(error)}"
    return Failure("middleware_error", f"the middleware {name} {what}")


def _origin(error: Exception) -> str:
    """Name the module that raised."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace.tb_frame.f_globals.get("__name__", "?") if trace else "?"
