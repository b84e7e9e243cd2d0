"""Names the processes of a try, so that others can see whether they are gone."""

from __future__ import annotations

import socket
from contextlib import suppress
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession


def machine() -> str:
    """Name the place in which process ids mean the same."""
    namespace = Path("/proc/self/ns/pid")
    return f"{socket.gethostname()} {namespace.readlink() if namespace.exists() else ''}"


def processes(spark: SparkSession) -> list[str]:
    """Name this process and its JVM, which outlives it by a moment."""
    jvm: Any = spark.sparkContext._jvm
    own = Path("/proc/self").resolve().name
    java = str(jvm.java.lang.ProcessHandle.current().pid())
    return [f"{pid} {_started(pid)}" for pid in (own, java)]


def is_alive(process: str) -> bool:
    """Say whether *process*, one of `processes`, is there, or may be."""
    pid, _, started = process.partition(" ")
    # Where there is no /proc, nobody knows.
    return not started or _started(pid) == started


def _started(pid: str) -> str:
    """Return when the process *pid* has started, in ticks since boot; nothing if it is gone."""
    with suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return "" if fields[0] == "Z" else fields[19]
    return ""
