"""The error that ends a run."""

from __future__ import annotations


class RunError(Exception):
    """A run that cannot go on; the first line says what to do."""


def first_line(error: BaseException) -> str:
    """Return the first line of *error*; what Spark adds below it is its plan or a Java stack."""
    return str(error).strip().partition("\n")[0]
