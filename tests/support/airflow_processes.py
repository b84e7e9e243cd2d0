"""Finds the processes behind a task of Airflow."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path


def processes_of(dag_id: str) -> list[int]:
    """Return the processes that spark-submit, and what it starts, have for a task of that DAG."""
    wanted = f"AIRFLOW_CTX_DAG_ID={dag_id}\0".encode()
    return [pid for pid in _processes() if wanted in _read(pid, "environ")]


def program_of(dag_id: str, program: str) -> int:
    """Return the one process among them that runs the *program*."""
    (pid,) = [pid for pid in processes_of(dag_id) if _read(pid, "comm").strip() == program.encode()]
    return pid


def supervisor_of(task_instance: str) -> int:
    """Return the process of Airflow's LocalExecutor that watches over the task instance with that id."""
    (pid,) = [
        pid
        for pid in _processes()
        if b"LocalExecutor" in (line := _read(pid, "cmdline")) and task_instance.encode() in line
    ]
    return pid


def _processes() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _read(pid: int, what: str) -> bytes:
    with suppress(OSError):
        return Path(f"/proc/{pid}/{what}").read_bytes()
    return b""
