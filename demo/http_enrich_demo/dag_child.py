"""The Airflow side of one DAG run; `run_dag` starts it as a program with Airflow's environment."""

from __future__ import annotations

import argparse
import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import DAG, timezone
from airflow.serialization.encoders import coerce_to_core_timetable
from airflow.timetables.base import DataInterval


def load(dags: Path, dag_id: str) -> DAG:
    """Load the DAG from its folder."""
    bag = DagBag(str(dags))
    if dag_id in bag.dags:
        return bag.dags[dag_id]
    errors = "".join(f"\n{file}: {error}" for file, error in bag.import_errors.items())
    sys.exit(f"No DAG {dag_id} in {dags}; add it, or correct what failed to load: {errors or 'nothing'}")


def interval_of(dag: DAG, day: datetime) -> DataInterval:
    """Return the data interval of the DAG that starts on the day."""
    timetable = coerce_to_core_timetable(dag.timetable)
    start, end = timezone.coerce_datetime(day), timezone.coerce_datetime(day + timedelta(days=1))
    interval = timetable.infer_manual_data_interval(run_after=end)
    if interval != DataInterval(start, end):
        sys.exit(f"{dag.dag_id} covers {interval}, not one day; give it a daily CronDataIntervalTimetable.")
    return interval


def run(dags: Path, dag_id: str, task_id: str, day: datetime) -> dict[str, Any]:
    """Run the DAG for the day, as `airflow dags test` does, and return the state and the task's result."""
    dag = load(dags, dag_id)
    # DAG.test takes its date for the moment of a manual run, which gets the last interval that is over.
    finished = dag.test(logical_date=interval_of(dag, day).end)
    task = finished.get_task_instance(task_id)
    summary = task.xcom_pull(task_ids=task_id) if task else None
    return {"state": str(finished.state), "run_id": finished.run_id, "summary": summary}


def main() -> None:
    """Run one day of a DAG and write the outcome to a file as JSON."""
    parser = argparse.ArgumentParser(description="Run one day of a DAG.")
    parser.add_argument("--dags", type=Path, required=True)
    parser.add_argument("--dag-id", required=True)
    parser.add_argument("--task-id", required=True)
    parser.add_argument("--day", type=datetime.fromisoformat, required=True)
    parser.add_argument("--result", type=Path, required=True)
    options = parser.parse_args()
    day = options.day.replace(tzinfo=UTC)
    outcome = run(options.dags, options.dag_id, options.task_id, day)
    options.result.write_text(json.dumps(outcome))


if __name__ == "__main__":
    main()
