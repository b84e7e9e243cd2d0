"""A whole Airflow on SQLite, with Spark and the airport API, driven through its REST API."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import date
from pathlib import Path
from sqlite3 import connect
from typing import Any
from urllib.parse import quote

from http_enrich_demo.airflow_env import DAGS, environment, web_settings
from http_enrich_demo.airports import codes, write_source
from http_enrich_demo.api import AirportsApi, run_in_thread
from http_enrich_demo.processes import free_ports
from http_enrich_demo.rest import AirflowRest, RestError
from http_enrich_demo.serving import serving
from http_enrich_demo.verify import Report, check_table

ROWS = 200
TOKEN = "canary+token/for:tests=8"
PARTS = ("api-server", "scheduler", "dag-processor")
PARALLELISM = 3
SECONDS = 900
"""More than anything here takes on a busy machine."""

FINISHED = {"success", "failed"}
_IGNORED = shutil.ignore_patterns("__pycache__")
SETTINGS = {
    "AIRFLOW__CORE__PARALLELISM": str(PARALLELISM),
    # New files are seen at once, and old ones are not read again and again.
    "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "3",
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "600",
    # No runs but those that a test asks for; else a DAG that is switched on first does yesterday.
    "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "False",
    # How often it is looked for tasks whose process is gone.
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
}
SPARK = {
    "spark.ui.enabled": "false",
    "spark.driver.host": "127.0.0.1",
    # Two hundred rows need neither two hundred partitions nor code made to measure.
    "spark.sql.shuffle.partitions": "2",
    "spark.sql.codegen.wholeStage": "false",
}
SUBMIT = {
    # In the environment: a folder of Spark's configuration would stand in Java's class path, and an
    # archive of classes that was made for another path is of no use.
    "SPARK_SUBMIT_OPTS": " ".join(f"-D{name}={value}" for name, value in SPARK.items()),
    "SPARK_DRIVER_MEMORY": "600m",
}


class RealAirflow:
    """The running Airflow, as its tests see it: `home` is its own, `data` has tables, `dags` DAG files."""

    def __init__(self, rest: AirflowRest, api: AirportsApi, folder: Path) -> None:
        self.rest, self.api = rest, api
        self.home, self.data = folder / "home", folder / "data"
        self.dags, self.log = folder / "dags", folder / "airflow.log"

    def unpause(self, dag_id: str) -> None:
        """Switch the DAG on as soon as Airflow has parsed it."""
        self.wait_for(lambda: dag_id in self.dag_ids(), f"the DAG {dag_id}")
        self.rest.patch(f"/dags/{dag_id}", {"is_paused": False})

    def dag_ids(self) -> list[str]:
        """Return the ids of all DAGs."""
        return [dag["dag_id"] for dag in self.rest.get("/dags", limit=100)["dags"]]

    def backfill(self, dag_id: str, first: date, last: date, **options: Any) -> None:
        """Backfill the days from *first* to *last*, and wait until all runs of the DAG have ended."""
        backfill = self.start_backfill(dag_id, first, last, **options)
        self.wait_until_done(dag_id)
        self._close(backfill)

    def start_backfill(self, dag_id: str, first: date, last: date, **options: Any) -> int:
        """Begin to backfill the days from *first* to *last* and return the id of the backfill."""
        self.unpause(dag_id)
        window = {"from_date": f"{first}T00:00:00Z", "to_date": f"{last}T00:00:00Z"}
        return int(self.rest.post("/backfills", {"dag_id": dag_id, **window, **options})["id"])

    def _close(self, backfill: int) -> None:
        # The scheduler looks once in half a minute for backfills that are over; until then
        # there cannot be another one of that DAG.
        if self.rest.get(f"/backfills/{backfill}")["completed_at"] is None:
            try:
                self.rest.put(f"/backfills/{backfill}/cancel")
            except RestError as error:
                if error.status != 409:  # it has looked just now
                    raise

    def trigger(self, dag_id: str) -> str:
        """Run the DAG now and return the id of the run."""
        self.unpause(dag_id)
        run = self.rest.post(f"/dags/{dag_id}/dagRuns", {"logical_date": None})
        return str(run["dag_run_id"])

    def clear(self, dag_id: str, run_id: str) -> None:
        """Have the tasks of that run done again, as the button "Clear" does."""
        body = {"dry_run": False, "only_failed": False, "reset_dag_runs": True, "dag_run_id": run_id}
        self.rest.post(f"/dags/{dag_id}/clearTaskInstances", body)

    def miss(self, dag_id: str) -> None:
        """Have Airflow notice now, not after five minutes, that nobody is left who watches over the task."""
        long_ago = (
            "UPDATE task_instance SET last_heartbeat_at = '2026-01-01 00:00:00.000000' "
            "WHERE dag_id = ? AND state = 'running' AND try_number = 1"
        )
        with closing(connect(self.home / "airflow.db", timeout=60, isolation_level=None)) as database:
            self.wait_for(
                lambda: database.execute(long_ago, (dag_id,)).rowcount == 0, f"the first try of {dag_id}"
            )

    def import_errors(self) -> list[dict[str, Any]]:
        """Return what Airflow says about DAG files that it cannot load."""
        errors: list[dict[str, Any]] = self.rest.get("/importErrors")["import_errors"]
        return errors

    def runs(self, dag_id: str) -> list[dict[str, Any]]:
        """Return the runs of the DAG, in the order in which they have started."""
        runs: list[dict[str, Any]] = self.rest.get(f"/dags/{dag_id}/dagRuns", order_by="start_date")[
            "dag_runs"
        ]
        return runs

    def states(self, dag_id: str) -> dict[str, str]:
        """Return the state of each run of the DAG by the day that it works on."""
        return {day_of(run): str(run["state"]) for run in self.runs(dag_id)}

    def wait_until_done(self, dag_id: str) -> None:
        """Wait until no run of the DAG is waiting or running."""
        self.wait_for(lambda: not self.is_busy(dag_id), f"the runs of {dag_id}")

    def is_busy(self, dag_id: str) -> bool:
        """Tell whether a run of the DAG is waiting or running."""
        return any(run["state"] not in FINISHED for run in self.runs(dag_id))

    def task(self, dag_id: str, run_id: str, task_id: str = "enrich") -> dict[str, Any]:
        """Return what Airflow knows about the task of that run."""
        return self.rest.get(f"/dags/{dag_id}/dagRuns/{quote(run_id)}/taskInstances/{task_id}")

    def figures(self, dag_id: str, run_id: str, task_id: str = "enrich", index: int = -1) -> dict[str, Any]:
        """Return what the task of that run has returned."""
        return self._xcom(dag_id, run_id, task_id, "return_value", index)

    def report(self, dag_id: str, run_id: str) -> dict[str, Any]:
        """Return the report that the task of that run has left."""
        return self._xcom(dag_id, run_id, "enrich", "http_enrich_report")

    def _xcom(self, dag_id: str, run_id: str, task_id: str, key: str, index: int = -1) -> dict[str, Any]:
        task = f"/dags/{dag_id}/dagRuns/{quote(run_id)}/taskInstances/{task_id}"
        query = {"map_index": index, "deserialize": "true"}
        value: dict[str, Any] = self.rest.get(f"{task}/xcomEntries/{key}", **query)["value"]
        return value

    def log_of(self, dag_id: str, run_id: str, try_number: int) -> str:
        """Return what that try of the task has logged, as the page of the task shows it."""
        task = f"/dags/{dag_id}/dagRuns/{quote(run_id)}/taskInstances/enrich"
        return "\n".join(str(line) for line in self.rest.get(f"{task}/logs/{try_number}")["content"])

    def check_day(self, day: date, table: str = "airports") -> Report:
        """Compare that day's partition of the table with what the API answers from."""
        return check_table(self.data / table, partition={"day": day.isoformat()}, expected_icaos=codes(ROWS))

    def wait_for(self, done: Callable[[], bool], what: str, seconds: float = SECONDS) -> None:
        """Wait until something is *done*; raises `AssertionError` that names *what* it was."""
        deadline = time.monotonic() + seconds
        while not done():
            assert time.monotonic() < deadline, f"no end of {what}; Airflow's log is {self.log}"
            time.sleep(1.0)


@contextmanager
def real_airflow(folder: Path, settings: dict[str, str]) -> Iterator[RealAirflow]:
    """Run it with its files in *folder* and some *settings* more; nothing of it is left after the block."""
    write_source(folder / "data" / "source", limit=ROWS)
    for dags in (DAGS, Path(__file__).parent / "dags"):
        shutil.copytree(dags, folder / "dags", ignore=_IGNORED, dirs_exist_ok=True)
    with run_in_thread(TOKEN, latency=(0.005, 0.02), fault_rate=0.05) as (url, api):
        env = environment(
            folder / "home",
            folder / "dags",
            data=folder / "data",
            api_url=url,
            token=TOKEN,
            master="local[2]",
        )
        env |= web_settings(*free_ports(3)) | SETTINGS | SUBMIT | settings
        with serving(env, folder / "airflow.log", PARTS) as airflow:
            yield RealAirflow(airflow.rest, api, folder)


def day_of(run: Mapping[str, Any]) -> str:
    """Return the day that a run works on."""
    return str(run.get("partition_key") or run["data_interval_start"])[:10]
