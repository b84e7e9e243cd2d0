"""A standalone Spark cluster on loopback: a master and two workers, each a JVM of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import pyspark

from tests.support.application import command_of, members

WORKERS = 2
HOME = Path(pyspark.__file__).parent
MASTER, WORKER = "org.apache.spark.deploy.master.Master", "org.apache.spark.deploy.worker.Worker"
_SECONDS = 120
_LISTENS = re.compile(r"Starting Spark master at (spark://\S+)")
_READY = re.compile(r"Successfully registered with master")


class Daemon(NamedTuple):
    """A master or a worker; everything that it starts is in its session."""

    process: subprocess.Popen[bytes]
    log: Path

    def wait_for(self, said: re.Pattern[str]) -> re.Match[str]:
        """Wait until it has said that."""
        deadline = time.monotonic() + _SECONDS
        while (found := said.search(self.log.read_text())) is None:
            assert time.monotonic() < deadline, f"not up in {_SECONDS} s: {self.log.read_text()[-2000:]}"
            assert self.process.poll() is None, self.log.read_text()[-2000:]
            time.sleep(0.05)
        return found

    def kill(self) -> None:
        """Kill it with everything that it has started."""
        for pid in members(self.process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()


class Cluster:
    """The running cluster; each worker has one core, for one executor of an application."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._daemons: list[Daemon] = []
        self.url: str

    def start(self) -> None:
        """Start all of it, and wait until it is ready."""
        self.url = self._start(MASTER, "--port", "0").wait_for(_LISTENS)[1]
        self.complete()

    def complete(self) -> None:
        """Start as many workers as are missing, and wait until the master knows them."""
        alive = [each for each in self._daemons if each.process.poll() is None]
        new = [self._start_worker() for _ in range(1 + WORKERS - len(alive))]
        for each in new:
            each.wait_for(_READY)

    def processes(self, program: str) -> list[int]:
        """Return its processes whose command line has *program*."""
        sessions = [each.process.pid for each in self._daemons]
        return [pid for each in sessions for pid in members(each) if program in command_of(pid)]

    def stop(self) -> None:
        """Kill all of it."""
        for each in self._daemons:
            each.kill()

    def _start_worker(self) -> Daemon:
        room = ("--cores", "1", "--memory", "700m", "--work-dir", str(self._folder / "work"))
        return self._start(WORKER, "--port", "0", *room, self.url)

    def _start(self, program: str, *options: str) -> Daemon:
        log = self._folder / f"daemon-{len(self._daemons)}.log"
        # What executors know of our code is what the driver ships.
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        environment |= {"SPARK_HOME": str(HOME), "SPARK_LOCAL_IP": "127.0.0.1", "SPARK_DAEMON_MEMORY": "256m"}
        with log.open("wb") as output:
            process = subprocess.Popen(
                [
                    str(HOME / "bin" / "spark-class"),
                    *(program, "--host", "127.0.0.1", "--webui-port", "0", *options),
                ],
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                cwd=self._folder,
                start_new_session=True,
            )
        self._daemons.append(Daemon(process, log))
        return self._daemons[-1]


@contextmanager
def spark_cluster(folder: Path) -> Iterator[Cluster]:
    """Run a cluster that keeps its files in *folder*; nothing of it is left after the block."""
    cluster = Cluster(folder)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
