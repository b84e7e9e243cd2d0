"""Makes one handler of several steps that stand beside each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ._exchange import Failure, Handler, RequestExchange
from ._step import NotSentError, Step

Named = tuple[str, Step]


def together(steps: Sequence[Named], call_next: Handler) -> Handler:
    """Return a handler that does what a chain of *steps*, outermost first, would do around *call_next*."""
    befores = [step.before for _, step in steps if step.looks_before]
    leaving = _leaving(steps)

    async def handle(exchange: RequestExchange) -> RequestExchange:
        kept: list[Any] = [None]
        try:
            for before in befores:
                kept.append(before(exchange))
        except Exception as error:  # noqa: BLE001 - one row must not take the task with it
            entered = _stopped(exchange, error, steps, len(kept) - 1)
            _leave(exchange, leaving, kept, entered)
            return exchange
        exchange = await call_next(exchange)
        # The same as _leave, but for the call.
        for name, after, slot, _ in leaving:
            try:
                after(exchange, kept[slot])
            except Exception as error:  # noqa: BLE001 - see above
                exchange.failure = raised(name, error)
        return exchange

    return handle


_Leaving = tuple[str, Callable[[RequestExchange, Any], None], int, int]
"""Name, function, where what its `before` has returned is kept, and its place among the steps."""


def _leaving(steps: Sequence[Named]) -> list[_Leaving]:
    found: list[_Leaving] = []
    slots = 0
    for place, (name, step) in enumerate(steps):
        slots += step.looks_before
        if step.looks_after:
            found.append((name, step.after, slots if step.looks_before else 0, place))
    return found[::-1]


def _stopped(exchange: RequestExchange, error: Exception, steps: Sequence[Named], done: int) -> int:
    """Say in *exchange* why the `before` number *done* has stopped it; return that step's place."""
    places = [place for place, (_, step) in enumerate(steps) if step.looks_before]
    place = places[done]
    exchange.failure = error.failure if isinstance(error, NotSentError) else raised(steps[place][0], error)
    return place


def _leave(exchange: RequestExchange, leaving: list[_Leaving], kept: list[Any], entered: int) -> None:
    """Let the steps before the place *entered* have their look at what became of the row."""
    for name, after, slot, place in leaving:
        if place < entered:
            try:
                after(exchange, kept[slot])
            except Exception as error:  # noqa: BLE001 - one row must not take the task with it
                exchange.failure = raised(name, error)


def raised(name: str, error: Exception) -> Failure:
    """Return the failure of a row on which the middleware called *name* has raised *error*."""
    # The text of the exception may quote headers or a body; its type and place do not.
    what = f"raised {type(error).__name__} in {_origin(error)}"
    return Failure("middleware_error", f"the middleware {name} {what}")


def _origin(error: Exception) -> str:
    """Name the module that raised."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace.tb_frame.f_globals.get("__name__", "?") if trace else "?"
