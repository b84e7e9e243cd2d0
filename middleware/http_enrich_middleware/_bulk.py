"""What the outermost steps of a chain do, for many rows at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ._exchange import RequestExchange
from ._together import Named, explained, leaving_of, raised


class Bulk:
    """
    Outermost steps of a chain that can be taken apart from it.

    Between two answers of a network, with the processor's caches full of other things, a step takes about
    twice the time that it takes for one row after the other.
    """

    def __init__(self, steps: Sequence[Named] = ()) -> None:
        self._steps = steps
        self._entering = [step.before for _, step in steps if step.looks_before]
        self._leaving = leaving_of(steps)

    def enter(self, exchange: RequestExchange) -> list[Any]:
        """
        Take a row through the steps on its way to the API; returns what `leave` wants to have.

        A row that has a failure now must not be sent.
        """
        kept: list[Any] = [len(self._steps)]
        try:
            for before in self._entering:
                kept.append(before(exchange))
        except Exception as error:  # noqa: BLE001 - one row must not take the others with it
            exchange.failure, kept[0] = explained(error, self._steps, "", len(kept) - 1)
        return kept

    def leave(self, exchange: RequestExchange, kept: list[Any], seconds: float) -> None:
        """Take a row through the same steps on its way back, *seconds* after it has left them."""
        entered = kept[0]
        for name, after, slot, place, clock in self._leaving:
            if place < entered:
                got = kept[slot] if slot else None
                try:
                    after(exchange, got if clock is None else (got, seconds))
                except Exception as error:  # noqa: BLE001 - see above
                    exchange.failure = raised(name, error)
