"""The errors that end a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from py4j.protocol import Py4JJavaError

if TYPE_CHECKING:
    from ._report import Report


class RunError(Exception):
    """
    A run that cannot go on; the first line says what to do.

    `retry` says whether another try could help although nobody changes anything, `kind` in a word what
    it was: `data` or `sink` (they do not fit, or cannot be used), `auth`, `rate_limited`, `error_rate`,
    `max_calls`, `deadline`, `outage`, `stopped` by a rule, `lease`, `internal`. `report` is the
    report so far.
    """

    def __init__(self, message: str, *, retry: bool = False, kind: str = "data") -> None:
        super().__init__(message)
        self.retry, self.kind = retry, kind
        self.report: Report | None = None


class LeaseLostError(RunError):
    """Another try of the same run is at work, or may be: this one must not go on."""

    def __init__(self, message: str, *, retry: bool = False) -> None:
        super().__init__(message, retry=retry, kind="lease")


def first_line(error: BaseException) -> str:
    """Return the first line of *error*; what Spark adds below it is its plan or a Java stack."""
    text = _cause(error.java_exception) if isinstance(error, Py4JJavaError) else str(error)
    return text.strip().partition("\n")[0]


def _cause(error: Any) -> str:
    """Return what the innermost cause of an *error* of Java's says; those around it only say where it was."""
    while (cause := error.getCause()) is not None:
        error = cause
    return str(error.toString())
