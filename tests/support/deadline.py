"""Makes a test that would hang fail."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import TypeVar

T = TypeVar("T")


def within(seconds: float, work: Callable[[], T]) -> T:
    """Return what *work* returns; raises `TimeoutError` if that takes more than *seconds*."""
    outcomes: SimpleQueue[tuple[bool, T | BaseException]] = SimpleQueue()

    def run() -> None:
        try:
            outcomes.put((True, work()))
        except BaseException as error:  # noqa: BLE001 - raised again below
            outcomes.put((False, error))

    threading.Thread(target=run, daemon=True).start()
    try:
        done, outcome = outcomes.get(timeout=seconds)
    except Empty:
        raise TimeoutError(f"not done after {seconds} s") from None
    if not done:
        assert isinstance(outcome, BaseException)
        raise outcome
    return outcome  # type: ignore[return-value]
