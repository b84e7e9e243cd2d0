"""Helps people who mistyped a name."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def did_you_mean(name: str, known: Iterable[str], otherwise: str) -> str:
    """Return a question for the nearest of the *known* names, or *otherwise* where none is near."""
    near = get_close_matches(name, list(known))
    if not near:
        return otherwise
    # Who mistypes a name rarely does so at its beginning.
    return f"did you mean {max(near, key=lambda each: each[:2] == name[:2])!r}?"
