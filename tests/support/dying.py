"""Lets a try of a run end in the middle of what it does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest


class Killed(BaseException):
    """Ends a try as SIGKILL would: nothing of its own code runs any more but `finally`."""


@contextmanager
def dies_after(owner: Any, name: str) -> Iterator[None]:
    """Let the next call of *name* in the block do its work, and then end the try."""
    real = getattr(owner, name)

    def call(*args: Any, **kwargs: Any) -> None:
        real(*args, **kwargs)
        raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, name, call)
        with pytest.raises(Killed):
            yield
