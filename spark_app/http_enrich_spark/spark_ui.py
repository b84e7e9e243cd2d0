"""Where a run's Spark UI is, as a line of the driver's log, which its submitter reads. Imports no Spark."""

from __future__ import annotations

import re
from typing import NamedTuple, Self

_LINE = re.compile(r"INFO Spark UI of (?P<application>[\w.-]+) at (?P<address>https?://[^\s<>\"]+)")


class SparkUI(NamedTuple):
    """The address of Spark's pages about a run, and the id of its application."""

    address: str
    application: str

    def __str__(self) -> str:
        return f"Spark UI of {self.application} at {self.address}"

    @classmethod
    def read(cls, line: str) -> Self | None:
        """Return what a *line* of the log says, None if it says something else."""
        match = _LINE.fullmatch(line.strip())
        return cls(**match.groupdict()) if match else None
