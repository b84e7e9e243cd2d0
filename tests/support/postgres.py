"""A PostgreSQL server of our own on a loopback port."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

DRIVER = Path("/usr/share/java/postgresql.jar")
USER = "canary-login"
PASSWORD = "canary-p%40ss word"
_BINARIES = sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin")), reverse=True)
_PATH = os.pathsep.join([*_BINARIES, os.environ.get("PATH", "")])
_ENVIRONMENT = {"PATH": _PATH, "LC_ALL": "C"}
_START_SECONDS = 60


def missing() -> str | None:
    """Say what has to be installed before a server can start; None if nothing."""
    if shutil.which("initdb", path=_PATH) is None:
        return "PostgreSQL is not installed; scripts/ensure_postgres.sh says how"
    if not DRIVER.exists():
        return "the JDBC driver of PostgreSQL is not installed; scripts/ensure_postgres.sh says how"
    return None


class Postgres:
    """The running server, with one database."""

    def __init__(self, folder: Path, port: int) -> None:
        self._folder, self.port = folder, port
        self.url = f"jdbc:postgresql://127.0.0.1:{port}/postgres"

    @property
    def options(self) -> dict[str, str]:
        """Options of Spark's JDBC source."""
        return {"url": self.url, "user": USER, "password": PASSWORD}

    def ask(self, sql: str) -> list[str]:
        """Run *sql* on a connection of its own, and return each row as a text, columns parted by `|`."""
        command = ["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-c", sql]
        place = {"PGHOST": "127.0.0.1", "PGPORT": str(self.port), "PGDATABASE": "postgres"}
        login = {"PGUSER": USER, "PGPASSWORD": PASSWORD, "PATH": _PATH}
        done = subprocess.run(command, env={**place, **login}, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()


@contextmanager
def postgres_server() -> Iterator[Postgres]:
    """Start a server; nothing of it is left after the block."""
    # Not in pytest's folder, which nobody but root may enter.
    folder = Path(tempfile.mkdtemp(prefix="http-enrich-postgres-"))
    process: subprocess.Popen[bytes] | None = None
    try:
        (folder / "password").write_text(PASSWORD)
        _own(folder, folder / "password")
        data = str(folder / "data")
        how = ["--auth=scram-sha-256", f"--username={USER}", f"--pwfile={folder / 'password'}"]
        _run("initdb", "-D", data, "--encoding=UTF8", "--locale=C", "--no-sync", *how)
        port = _free_port()
        settings = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off"}
        process = _start(folder / "log", "postgres", "-D", data, "-p", str(port), *_as_flags(settings))
        _wait(process, port, folder / "log")
        yield Postgres(folder, port)
    finally:
        if process is not None:
            process.send_signal(signal.SIGINT)  # without waiting for its clients
            process.wait(timeout=30)
        shutil.rmtree(folder, ignore_errors=True)


def _as_flags(settings: Mapping[str, str]) -> list[str]:
    return [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]


def _as_postgres() -> list[str]:
    """PostgreSQL refuses to be started by root, and ends with the tests even if these are killed."""
    as_whom = ["--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []
    return ["setpriv", *as_whom, "--pdeathsig=INT"]


def _own(*paths: Path) -> None:
    if os.geteuid() == 0:
        for path in paths:
            shutil.chown(path, "postgres", "postgres")


def _run(*command: str) -> None:
    done = subprocess.run(
        [*_as_postgres(), *command], capture_output=True, text=True, check=False, cwd="/", env=_ENVIRONMENT
    )
    assert done.returncode == 0, done.stderr


def _start(log: Path, *command: str) -> subprocess.Popen[bytes]:
    with log.open("wb") as output:
        return subprocess.Popen(
            [*_as_postgres(), *command],
            stdout=output,
            stderr=output,
            cwd="/",
            env=_ENVIRONMENT,
            start_new_session=True,
        )


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    command = ["pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port), "-t", str(_START_SECONDS)]
    while subprocess.run(command, env={"PATH": _PATH}, check=False).returncode != 0:
        assert process.poll() is None, log.read_text()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
