"""Ends spark-submit with all that it has started."""

from __future__ import annotations

from contextlib import suppress

import psutil

GRACE_SECONDS = 2.5
"""Python workers close their connections within two; Airflow waits five for all of it."""

_DAEMONS = ("pyspark.daemon", "http_enrich_spark.worker_daemon")


def end_with_descendants(pid: int) -> None:
    """
    End the process *pid*, a child of this one, and all below it, so that no request is made any more.

    The JVM would only end after its own idea of a clean-up, and Spark's Python workers are in
    process groups of their own, out of reach of a signal for this one's. They may say goodbye.
    """
    with suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        descendants = root.children(recursive=True)
        for each in [root, *descendants]:
            with suppress(psutil.Error):
                each.terminate() if _is_worker(each) else each.kill()
        # Only whoever has started the root may wait for it.
        _, left = psutil.wait_procs(descendants, timeout=GRACE_SECONDS)
        for each in left:
            with suppress(psutil.Error):
                each.kill()


def _is_worker(process: psutil.Process) -> bool:
    return any(each in _DAEMONS for each in process.cmdline())
