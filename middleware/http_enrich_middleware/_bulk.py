"""What the outermost steps of a chain do, for many rows at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ._exchange import RequestExchange
from ._together import Named, explained, leave, leaving_of

Kept = tuple[list[Any], int]
"""What the steps have returned, and how many of them a row has passed."""


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

    def enter(self, exchange: RequestExchange) -> Kept:
        """
        Take a row through the steps on its way to the API; returns what `leave` wants to have.

        A row that has a failure now must not be sent.
        """
        kept: list[Any] = [None]
        try:
            for before in self._entering:
                kept.append(before(exchange))
        except Exception as error:  # noqa: BLE001 - one row must not take the others with it
            exchange.failure, entered = explained(error, self._steps, "", len(kept) - 1)
            return kept, entered
        return kept, len(self._steps)

    def leave(self, exchange: RequestExchange, kept: Kept, seconds: float) -> None:
        """Take a row through the same steps on its way back, *seconds* after it has left them."""
        leave(exchange, self._leaving, *kept, seconds)
