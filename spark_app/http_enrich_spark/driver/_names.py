"""Names of columns."""

from __future__ import annotations

RESERVED = "__http_enrich"
"""What the names of our own helper columns begin with."""

ROW = f"{RESERVED}_row"
"""The column with the number that tells a frozen row from all others of its run."""


def quoted(name: str) -> str:
    """Write the name of a column so that Spark takes it as one name, dots and backticks included."""
    escaped = name.replace("`", "``")
    return f"`{escaped}`"
