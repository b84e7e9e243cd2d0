"""A real API server of Airflow on loopback, with users, and with tasks that have left reports."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from http_enrich_demo.airflow_env import environment, web_settings
from http_enrich_demo.processes import free_ports, running, tail
from http_enrich_demo.run_dag import prepare_database
from tests.support import reports

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 300
"""More than an answer takes on a busy machine."""

DAG_ID = "reports"
RUN_ID = "manual__2026-11-26T00:00:00+00:00"
TEAM, OTHER_TEAM = "ours", "theirs"
USERS = {
    "admin": "admin",
    "op": f"op:{TEAM}",
    "user": f"user:{TEAM}",
    "viewer": f"viewer:{TEAM}",
    "stranger": f"op:{OTHER_TEAM}",
}
KEY = "http_enrich_report"
DAG_FILE = """
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG
from http_enrich_provider.operators import HttpEnrichSparkOperator

pipeline = {{
    "version": 1, "name": "p", "source": {{"path": "in", "id": ["id"]}},
    "endpoint": {{"base_url": "https://api.example.com"}}, "sink": {{"path": "out"}},
}}
with DAG("reports", schedule=None):
    HttpEnrichSparkOperator(task_id="enrich", pipeline=pipeline)
    HttpEnrichSparkOperator.partial(task_id="mapped", pipeline=pipeline).expand(
        variables=[{{"n": "1"}}, {{"n": "2"}}]
    )
    for task_id in {others}:
        EmptyOperator(task_id=task_id)
"""


class Web(NamedTuple):
    """A running API server: its base URL, and the passwords of its users."""

    url: str
    passwords: dict[str, str]

    def token(self, user: str) -> str:
        """Return the token that *user*'s browser has in a cookie after the login."""
        return _token(self.url, user, self.passwords[user])

    def report(self, task_id: str, user: str | None = "viewer", **query: str) -> httpx.Response:
        """Ask for the report of a task as *user*, in the way of the iframe."""
        params = {"run_id": RUN_ID, "task_id": task_id} | query
        return self.ask(f"/http-enrich/report/{DAG_ID}", user, params=params)

    def ask(self, path: str, user: str | None = None, method: str = "GET", **options: Any) -> httpx.Response:
        """Ask for what is at *path* as *user*, or as nobody, with more *options* of httpx."""
        cookies = {"_token": self.token(user)} if user else {}
        return httpx.request(method, self.url + path, cookies=cookies, timeout=SECONDS, **options)


@cache
def _token(url: str, user: str, password: str) -> str:
    answer = httpx.post(f"{url}/auth/token", json={"username": user, "password": password}, timeout=SECONDS)
    return str(answer.raise_for_status().json()["access_token"])


class Database(NamedTuple):
    """A metadata database with a finished run."""

    home: Path
    dags: Path


def make_database(folder: Path) -> Database:
    """Create a metadata database in *folder* and fill it."""
    dags, plan, log = folder / "dags", folder / "plan.json", folder / "seed.log"
    dags.mkdir()
    plan.write_text(json.dumps(_plan()))
    others = {"other", "busy", *(task_id for task_id, *_ in _xcoms())} - {"enrich", "mapped"}
    (dags / "reports.py").write_text(DAG_FILE.format(others=sorted(others)))
    database = Database(folder / "airflow", dags)
    env = _environment(database, "", [0, 0, 0])
    prepare_database(env, log)
    command = [sys.executable, "-m", "tests.support.seed_airflow", str(dags), str(plan)]
    subprocess.run(command, env=env, cwd=ROOT, check=True)
    return database


def _plan() -> dict[str, Any]:
    return {"team": TEAM, "other_team": OTHER_TEAM, "run_id": RUN_ID, "running": ["busy"], "xcoms": _xcoms()}


def _xcoms() -> list[tuple[str, int, str, Any]]:
    wrong = [(f"wrong_{word}", -1, KEY, value) for word, value in reports.wrong().items()]
    second = reports.good()
    second["summary"]["pipeline"] = "second of two"
    links = {
        "http_enrich_report_link": "/airflow/dags/x",
        "http_enrich_spark_ui_link": "http://127.0.0.1:4040",
    }
    return [
        ("enrich", -1, KEY, reports.good()),
        *(("enrich", -1, key, value) for key, value in links.items()),
        ("mapped", 0, KEY, reports.failed()),
        ("mapped", 1, KEY, second),
        ("hostile", -1, KEY, reports.hostile()),
        ("failed", -1, KEY, reports.failed()),
        *wrong,
    ]


@contextmanager
def serving(database: Database, path: str = "", *, all_admins: bool = False) -> Iterator[Web]:
    """Serve *database* below *path* of a loopback address."""
    env = _environment(database, path, free_ports(3)) | {
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": str(all_admins)
    }
    log = database.home.parent / "web.log"
    command = [sys.executable, "-m", "airflow", "api-server", "--apps", "core"]
    url = env["AIRFLOW__API__BASE_URL"]
    with running(command, env, log) as process:
        _wait(process, f"{url}/api/v2/version", log)
        passwords = {} if all_admins else json.loads(_password_file(database).read_text())
        yield Web(url, passwords)


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + SECONDS
    while not _answers(url):
        assert process.poll() is None, tail(log)
        assert time.monotonic() < deadline, tail(log)
        time.sleep(0.3)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def _password_file(database: Database) -> Path:
    return database.home / "simple_auth_manager_passwords.json.generated"


def _environment(database: Database, path: str, ports: list[int]) -> dict[str, str]:
    env = environment(database.home, database.dags, data=database.home, api_url="", token="")
    env |= web_settings(*ports)
    users = [f"{name}:{role}" for name, role in USERS.items()]
    return env | {
        "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{ports[0]}{path}",
        "AIRFLOW__CORE__MULTI_TEAM": "True",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(users),
        "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
        # Two servers of the same database believe each other's tokens.
        "AIRFLOW__API_AUTH__JWT_SECRET": "of the tests, and of nothing else at all",
    }
