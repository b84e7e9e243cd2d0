"""
What has to be measured in a process of its own: `python -m tests.support.children WHAT LOOP URL...`.

Prints one JSON document.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import uvloop

from http_enrich_transport import TransportRequest
from tests.support.faults import engine_for, outcome

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}
ROOT = Path(__file__).parents[2]


async def in_child(what: str, *urls: str) -> Any:
    """Run *what* in a process of its own, on the same kind of loop, and return what it prints."""
    loop = "uvloop" if isinstance(asyncio.get_running_loop(), uvloop.Loop) else "asyncio"
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.support.children", what, loop, *urls),
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=asyncio.subprocess.PIPE,
    )
    printed, _ = await asyncio.wait_for(child.communicate(), timeout=30)
    return json.loads(printed)


async def memory(*urls: str) -> Any:
    """Return for each address what came of it, and by how many MiB the peak of memory grew."""
    async with engine_for(urls[0]) as engine:
        await engine.send(TransportRequest("GET", urls[0]))  # whatever the first one loads
        found = []
        for url in urls:
            before = _peak(reset=True)
            response = await engine.send(TransportRequest("GET", url))
            found.append((outcome(response), (_peak() - before) / 1024))
        return found


async def descriptors(url: str) -> Any:
    """Return what comes of twenty requests with five file descriptors to spare, and of one afterwards."""
    async with engine_for(url, tcp_connection={"limit": 20}) as engine:
        requests = [TransportRequest("POST", url) for _ in range(20)]
        spare = os.dup(0)
        os.close(spare)
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (spare + 5, most))
        short = [outcome(each) for each in await asyncio.gather(*map(engine.send, requests))]
        return short, outcome(await engine.send(requests[0]))


def _peak(*, reset: bool = False) -> int:
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1])


def main(what: str, loop: str, *urls: str) -> None:
    jobs: dict[str, Callable[..., Coroutine[Any, Any, Any]]] = {"memory": memory, "descriptors": descriptors}
    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        print(json.dumps(runner.run(jobs[what](*urls))))


if __name__ == "__main__":
    main(*sys.argv[1:])
