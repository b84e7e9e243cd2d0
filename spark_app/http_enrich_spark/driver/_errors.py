"""The error that ends a run."""

from __future__ import annotations


class RunError(Exception):
    """A run that cannot go on; the first line says what to do."""
