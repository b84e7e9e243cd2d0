"""What tells that a run was published."""

from __future__ import annotations

from typing import Any

import msgspec

from http_enrich_spark.driver._files import Folder

from ._manifest import Version
from ._records import numbers, read


class Done(msgspec.Struct, frozen=True):
    """That the run was published: when, by which settings, into which sink, and with what figures."""

    digest: str
    settings: dict[str, Any]
    sinks: dict[str, Any]
    at: str
    summary: dict[str, Any]
    fresh: str = ""
    version: Version = 1


def last_done(folder: Folder) -> Done | None:
    """Return what the last epoch to publish the run in *folder* has written down; None if none has."""
    done = _epochs(folder)
    return read(folder / _name(done[-1]), Done) if done else None


def keep_done(folder: Folder, epoch: int, done: Done) -> None:
    """Write *done* down for *epoch*, unless it is; from then on it counts, and none of an earlier one."""
    known = _epochs(folder)
    if epoch not in known:
        # A file of its own, which is there whole or not: with none, all would be paid for again.
        (folder / _name(epoch)).publish(msgspec.json.encode(done).decode())
    for each in known:
        if each < epoch:
            (folder / _name(each)).delete()


def is_done(name: str) -> bool:
    """Say whether a file of this *name* tells that the run was published."""
    return name.startswith("done-") and name.endswith(".json")


def _epochs(folder: Folder) -> list[int]:
    return numbers(folder, "done-", ".json")


def _name(epoch: int) -> str:
    return f"done-{epoch}.json"
