"""The `airflow` command: the complete Airflow with its web pages, the example DAGs and the airport API."""

from __future__ import annotations

import secrets
import subprocess
import sys
import time
from pathlib import Path

from http_enrich_demo.airflow_env import BUILD, DAGS, DATA, environment, web_settings
from http_enrich_demo.airports import ensure_source
from http_enrich_demo.processes import free_ports, running, tail
from http_enrich_demo.run_dag import DAG_ID, prepare_database
from http_enrich_demo.services import ServiceError, get_json, running_api

# Not the database of `demo`: a scheduler would start the tasks of a DAG run that `demo` is working on.
HOME = BUILD / "airflow" / "web"
LOG = BUILD / "airflow" / "web.log"
_START_SECONDS = 300.0
_PARTS = ("metadatabase", "scheduler", "dag_processor", "triggerer")


def run() -> None:
    """Serve Airflow until Ctrl-C, then stop all of it."""
    ensure_source(DATA / "source")
    LOG.unlink(missing_ok=True)
    token = secrets.token_urlsafe()
    ports = free_ports(3)
    with running_api(token, LOG.parent) as api_url:
        env = environment(HOME, DAGS, data=DATA, api_url=api_url, token=token) | web_settings(*ports)
        print(f"Airflow is starting, which takes up to a minute; its log is {LOG}", flush=True)
        prepare_database(env, LOG)
        with running([sys.executable, "-m", "airflow", "standalone"], env, LOG) as process:
            url = env["AIRFLOW__API__BASE_URL"]
            wait_until_healthy(process, url, LOG)
            _print_welcome(url, api_url)
            process.wait()
    raise ServiceError(f"Airflow ended by itself. The end of {LOG}:\n\n{tail(LOG)}")


def wait_until_healthy(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    """Wait until every part of Airflow reports that it is healthy."""
    deadline = time.monotonic() + _START_SECONDS
    while not is_healthy(url):
        if process.poll() is not None or time.monotonic() > deadline:
            raise ServiceError(f"Airflow did not start. The end of {log}:\n\n{tail(log)}")
        time.sleep(0.5)


def is_healthy(url: str) -> bool:
    """Tell whether Airflow answers and all its parts are healthy."""
    try:
        health = get_json(f"{url}/api/v2/monitor/health")
    except OSError:
        return False
    return all((health.get(part) or {}).get("status") == "healthy" for part in _PARTS)


def _print_welcome(url: str, api_url: str) -> None:
    print(f"\n  Airflow      {url}/dags/{DAG_ID}  (no login needed)")
    print(f"  airport API  {api_url}/stats")
    print("\n  Switch the DAG on or press Trigger. Ctrl-C stops everything.", flush=True)
