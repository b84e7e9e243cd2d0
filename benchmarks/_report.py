"""Shows figures: a table for people on stderr, JSON for programs on stdout."""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

Row = Mapping[str, Any]


def show(title: str, rows: Sequence[Row]) -> None:
    """Print *rows*, which have the same keys."""
    cells = [list(rows[0]), *([_text(value) for value in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    print(title, file=sys.stderr)
    for line in cells:
        print("  ".join(map(str.ljust, line, widths)), file=sys.stderr)


def dump(name: str, rows: Sequence[Row], file: Path | None = None) -> None:
    """Print *rows* as JSON, with the versions that they were measured on; the same goes into *file*."""
    versions = {each: version(each) for each in ("aiohttp", "pyreqwest", "pyspark", "uvloop")}
    found = json.dumps(
        {"benchmark": name, "python": platform.python_version(), **versions, "rows": list(rows)}
    )
    print(found)
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(found + "\n")


def _text(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)
