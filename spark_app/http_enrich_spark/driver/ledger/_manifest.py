"""What a try writes down before its first request: its rows, and which answers it counts as there."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

Version = Literal[1]
"""Of the files in a run's folder; another one is not read."""


class Reading(msgspec.Struct, frozen=True):
    """How columns are read from a body: `response.schema` and `response.select`, as the pipeline has them."""

    schema: str
    select: str | None = None


class Part(msgspec.Struct, frozen=True):
    """
    Answers of earlier tries, as files below the run's folder.

    Of `only_ok` parts the failures do not count: their try has failed because of them, so they are
    asked again. So are those whose body does not fit one of the `readings`.
    """

    files: list[str]
    only_ok: bool = False
    readings: list[Reading] = []


class Manifest(msgspec.Struct, frozen=True):
    """
    The start of one epoch.

    `first` is the epoch that has frozen the rows, `rows` how many they are, `ids` the fingerprint of
    their ids (a number too large for JSON) and `schema` theirs; `left_out` counts rows that shared an
    id with one of them. `tries` are the epochs that this one goes on with, the latest last. `token` tells
    what is published from these rows from all else that ever was. `fresh` names the tries that began anew
    together; it is empty where none did.
    """

    epoch: int
    settings: dict[str, Any]
    digest: str
    first: int
    token: str
    rows: int
    ids: str
    schema: str
    left_out: int = 0
    parts: list[Part] = []
    tries: list[int] = []
    fresh: str = ""
    version: Version = 1


class Verdict(msgspec.Struct, frozen=True):
    """
    That a try has judged its answers to be too bad to be published, and why.

    `reading` is how it has read the bodies: a try that reads them in the same way would find no more in them.
    """

    reason: str
    reading: Reading | None = None
