"""What is wrong with a pipeline, and where."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

Path = tuple[str | int, ...]
"""Where a value stands: keys and list indexes from the top of the file."""


MAX_SHOWN = 20
"""Problems that an error lists; nobody reads the rest before mending these."""


class Problem(NamedTuple):
    """One thing to mend; line and column count from 1 and are 0 where there is no text."""

    line: int
    column: int
    path: Path
    message: str

    def at(self, name: str) -> str:
        """Return the message with its place in the file called *name*."""
        place = f"{name}:{self.line}:{self.column}" if self.line else name
        field = f"{dotted(self.path)}: " if self.path else ""
        return f"{place}: {field}{self.message}"


class PipelineError(ValueError):
    """A pipeline that cannot run; the text lists every problem with its place."""

    def __init__(self, name: str, problems: Sequence[Problem]) -> None:
        self.name = name
        self.problems = sorted(problems, key=lambda each: (each.line, each.column, dotted(each.path)))
        lines = [problem.at(name) for problem in self.problems[:MAX_SHOWN]]
        if len(self.problems) > MAX_SHOWN:
            lines.append(f"{name}: and {len(self.problems) - MAX_SHOWN} more")
        super().__init__("\n".join(lines))

    def __reduce__(self) -> tuple[type[PipelineError], tuple[str, Sequence[Problem]]]:
        return type(self), (self.name, self.problems)


def dotted(path: Path) -> str:
    """Write *path* as people do: `middleware[0].max_attempts`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")
