"""The end of a run before its rows are done."""

from __future__ import annotations

from typing import NamedTuple


class Stop(NamedTuple):
    """
    Why a run is to stop.

    `kind` is that of the error that ends it. With `max_calls` and `deadline` the answers are good, and only
    too many; with `error_rate` and `outage` they are too bad; `stopped` is a rule of the pipeline, which says
    itself what is wrong. `retry` says whether another try can go on without anybody changing anything.
    """

    reason: str
    kind: str = "stopped"
    retry: bool = False
