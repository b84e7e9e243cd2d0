"""The errors that end a run."""

from __future__ import annotations


class RunError(Exception):
    """
    A run that cannot go on; the first line says what to do.

    `retry` says whether another try could help although nobody changes anything.
    """

    def __init__(self, message: str, *, retry: bool = False) -> None:
        super().__init__(message)
        self.retry = retry


class LeaseLostError(RunError):
    """Another try of the same run is at work, or may be: this one must not go on."""


def first_line(error: BaseException) -> str:
    """Return the first line of *error*; what Spark adds below it is its plan or a Java stack."""
    return str(error).strip().partition("\n")[0]
