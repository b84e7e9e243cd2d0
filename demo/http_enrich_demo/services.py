"""Starts the airport API as a program of its own and asks it for its counters."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, build_opener

from http_enrich_demo.airflow_env import ROOT
from http_enrich_demo.processes import running, tail

TOKEN_VARIABLE = "HTTP_ENRICH_DEMO_TOKEN"
_START_SECONDS = 30.0
# Everything here is on the loopback interface, where no proxy of the caller's has any business.
_direct = build_opener(ProxyHandler({}))


class ServiceError(Exception):
    """A program of the demo did not start; the message holds the end of its log."""


@contextmanager
def running_api(token: str, folder: Path) -> Iterator[str]:
    """Run the airport API, its files in the folder, and yield its URL."""
    url_file, log = folder / "api.url", folder / "api.log"
    for old in (url_file, log):
        old.unlink(missing_ok=True)
    command = [sys.executable, "-m", "http_enrich_demo.api", "--token-env", TOKEN_VARIABLE]
    env = os.environ | {"PYTHONPATH": str(ROOT / "demo"), TOKEN_VARIABLE: token}
    with running([*command, "--url-file", str(url_file)], env, log) as process:
        yield _wait_for_url(process, url_file, log)


def get_json(url: str, timeout: float = 5.0) -> dict[str, Any]:
    """Fetch a JSON object from a program of the demo; raises OSError while it does not answer."""
    with _direct.open(url, timeout=timeout) as response:
        answer: dict[str, Any] = json.load(response)
    return answer


def _wait_for_url(process: subprocess.Popen[bytes], url_file: Path, log: Path) -> str:
    deadline = time.monotonic() + _START_SECONDS
    while not url_file.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            raise ServiceError(f"The airport API did not start. The end of {log}:\n\n{tail(log)}")
        time.sleep(0.05)
    return url_file.read_text()
