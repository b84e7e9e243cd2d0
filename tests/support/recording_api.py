"""An API in a process of its own that writes down each request: its row, its time, and its answer."""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from aiohttp import web

ROOT = Path(__file__).resolve().parents[2]


class Request(NamedTuple):
    """One request: the row's id, seconds of the server's clock, and the status of the answer."""

    row: str
    at: float
    status: int


class RecordingApi:
    """The running API, as its test sees it."""

    def __init__(self, url: str, log: Path, process: subprocess.Popen[str]) -> None:
        self.url, self._log, self._process = url, log, process

    def stop(self) -> None:
        """Be gone at once, as when the machine dies."""
        self._process.kill()
        self._process.wait()

    @property
    def requests(self) -> list[Request]:
        """Every request so far, in order."""
        lines = self._log.read_bytes().split(b"\n")[:-1]
        return [Request(*json.loads(line)) for line in lines]

    @property
    def count(self) -> int:
        """How many requests there were so far."""
        return self._log.read_bytes().count(b"\n")

    def wait_for(self, count: int, over: Callable[[], bool] = lambda: False, seconds: float = 300.0) -> None:
        """Wait until there were *count* requests, or there will not be any more."""
        deadline = time.monotonic() + seconds
        while self.count < count and not over():
            assert time.monotonic() < deadline, f"{self.count} requests in {seconds} s, not {count}"
            time.sleep(0.02)


@contextmanager
def recording_api(
    folder: Path, *, latency: float = 0.0, fault_rate: float = 0.0, seed: int = 0, port: int = 0
) -> Iterator[RecordingApi]:
    """
    Serve `/items/<id>` on loopback.

    One in ten ids is not found. Each answer takes *latency* seconds; *fault_rate* of the ids get a 503 first.
    """
    log = folder / "requests.jsonl"
    log.touch()
    options = [str(log), str(latency), str(fault_rate), str(seed), str(port)]
    command = [sys.executable, "-m", "tests.support.recording_api", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout is not None
    try:
        yield RecordingApi(process.stdout.readline().strip(), log, process)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


async def serve(log: Path, latency: float, fault_rate: float, seed: int, port: int) -> None:
    """Serve until killed."""
    refused: set[str] = set()
    with log.open("a", buffering=1) as lines:

        async def answer(request: web.Request) -> web.Response:
            at, row = time.monotonic(), request.match_info["row"]
            status = 404 if row.endswith("7") else 200
            if row not in refused and random.Random(f"{seed} {row}").random() < fault_rate:
                refused.add(row)
                status = 503
            lines.write(json.dumps([row, at, status]) + "\n")
            if latency:
                await asyncio.sleep(latency)
            return web.json_response({"row": row, "twice": row * 2}, status=status)

        application = web.Application()
        application.router.add_route("*", "/items/{row}", answer)
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    path, *numbers = sys.argv[1:]
    given_latency, given_rate, given_seed, given_port = numbers
    asyncio.run(serve(Path(path), float(given_latency), float(given_rate), int(given_seed), int(given_port)))
