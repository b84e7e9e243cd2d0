"""What Spark's Python workers have used, as Linux counts it."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import NamedTuple, Self

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


class _Stat(NamedTuple):
    parent: int
    cpu: float
    rss: int


def workers() -> list[int]:
    """Return the processes of Spark's Python workers that descend from this one."""
    parents = {pid: stat.parent for pid in _all() if (stat := _stat(pid)) is not None}
    daemons = {pid for pid in parents if "daemon" in _command(pid)}
    return [pid for pid in daemons if parents[pid] in daemons and _descends(pid, parents)]


def cpu() -> dict[int, float]:
    """Return the seconds of CPU that each worker has used, all threads together."""
    return {pid: stat.cpu for pid in workers() if (stat := _stat(pid)) is not None}


def cpu_since(before: dict[int, float]) -> float:
    """Return the seconds of CPU that the workers have used since *before*."""
    return sum(seconds - before.get(pid, 0.0) for pid, seconds in cpu().items())


def pin(core: int) -> None:
    """Keep every thread of the workers on *core*, those to come included."""
    for pid in workers():
        for task in Path(f"/proc/{pid}/task").iterdir():
            os.sched_setaffinity(int(task.name), {core})


class Memory(threading.Thread):
    """Looks at the workers' resident memory while its block runs."""

    def __init__(self, every: float = 0.5) -> None:
        super().__init__(daemon=True)
        self._every = every
        self._over = threading.Event()
        self.mebibytes: list[float] = []

    def run(self) -> None:
        """Look until the block ends."""
        while not self._over.wait(self._every):
            found = [stat.rss for pid in workers() if (stat := _stat(pid)) is not None]
            if found:
                self.mebibytes.append(sum(found) * _PAGE / 2**20)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()

    @property
    def growth(self) -> float:
        """How much more there was at any time than after a tenth of the time, as a share."""
        tenth = len(self.mebibytes) // 10
        return max(self.mebibytes[tenth:]) / self.mebibytes[tenth] - 1 if self.mebibytes else 0.0


def _all() -> list[int]:
    return [int(each.name) for each in Path("/proc").iterdir() if each.name.isdigit()]


def _stat(pid: int) -> _Stat | None:
    """Return what Linux says of *pid*; None if it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return _Stat(int(fields[1]), (int(fields[11]) + int(fields[12])) / _TICKS, int(fields[21]))


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def _descends(pid: int, parents: dict[int, int]) -> bool:
    while pid in parents and pid != os.getpid():
        pid = parents[pid]
    return pid == os.getpid()
