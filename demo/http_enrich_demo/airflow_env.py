"""The environment of the demo's private Airflow: own database, own connections, loopback only."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from http_enrich_demo.tokens import CLIENT_ID

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"
DATA = BUILD / "demo"
DAGS = ROOT / "dags_examples"
# Settings of another Airflow, Spark or Hadoop on this machine must not leak into the demo.
_FOREIGN = ("AIRFLOW", "SPARK_", "PYSPARK_", "HADOOP_")


def environment(
    home: Path, dags: Path, *, data: Path, api_url: str, token: str, master: str = "local[2]"
) -> dict[str, str]:
    """Return all variables that an Airflow process of the demo runs with."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    return (
        inherited
        | _process(inherited)
        | _airflow(home, dags)
        | _connections(api_url, token, master)
        | {"HTTP_ENRICH_DEMO_DATA": str(data)}
    )


def web_settings(port: int, worker_log_port: int, trigger_log_port: int) -> dict[str, str]:
    """Return the variables which an Airflow that also serves its web pages needs in addition."""
    url = f"http://127.0.0.1:{port}"
    return {
        # Its password is on the screen and the page is not encrypted, so nobody from outside may reach it.
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "10",
        # A machine that is busy with Spark may take longer than five seconds to start a task.
        "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",
        # How soon a task hears that it was cleared or marked as failed: after up to five seconds by default.
        "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
        "AIRFLOW__WORKERS__MAX_FAILED_HEARTBEATS": "15",  # of which three, in five seconds each, end a task
        # The defaults are fixed ports, over which two Airflows on one machine would fall.
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(worker_log_port),
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(trigger_log_port),
    }


def _process(inherited: dict[str, str]) -> dict[str, str]:
    packages = [str(ROOT / "demo"), *filter(None, [inherited.get("PYTHONPATH")])]
    return {
        # spark-submit and airflow must come from the environment this Python belongs to.
        "PATH": os.pathsep.join([str(Path(sys.prefix) / "bin"), inherited.get("PATH", os.defpath)]),
        "PYTHONPATH": os.pathsep.join(packages),
        "PYTHONUNBUFFERED": "1",
        "PYSPARK_PYTHON": sys.executable,
        "SPARK_LOCAL_IP": "127.0.0.1",
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
    }


def _airflow(home: Path, dags: Path) -> dict[str, str]:
    return {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": "2",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONNECT_ARGS": "http_enrich_demo.sqlite.CONNECT_ARGS",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}",
        "AIRFLOW__LOGGING__COLORED_CONSOLE_LOG": "False",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    }


def _connections(api_url: str, token: str, master: str) -> dict[str, str]:
    # JSON, since a spark:// address would be taken for a standalone cluster instead of local[2].
    return {
        "AIRFLOW_CONN_SPARK_DEFAULT": json.dumps({"conn_type": "spark", "host": master}),
        "AIRFLOW_CONN_AIRPORTS_API": json.dumps(
            {"conn_type": "http", "host": api_url, "login": CLIENT_ID, "password": token}
        ),
    }
