"""Lets a try of a run end in the middle of what it does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


class Killed(BaseException):
    """Ends a try as SIGKILL would: nothing of its own code runs any more but `finally`."""


def dies_after(
    monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, action: Callable[[], None] = lambda: None
) -> None:
    """Let the next call of *name* do its work, and then end the try."""
    real = getattr(owner, name)

    def call(*args: Any, **kwargs: Any) -> None:
        monkeypatch.setattr(owner, name, real)
        real(*args, **kwargs)
        action()
        raise Killed

    monkeypatch.setattr(owner, name, call)
