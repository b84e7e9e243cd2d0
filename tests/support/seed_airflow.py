"""Fills a fresh metadata database with a DAG, a run of it, and what its tasks have left; a program."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
from airflow.models.dagbundle import DagBundleModel
from airflow.models.serialized_dag import SerializedDagModel
from airflow.models.team import Team
from airflow.models.xcom import XComModel
from airflow.sdk import timezone
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState, TaskInstanceState
from airflow.utils.types import DagRunTriggeredByType, DagRunType
from sqlalchemy.orm import Session

BUNDLE = "dags-folder"


def main(dags: Path, plan: Path) -> None:
    """Store the DAGs in *dags*, and a finished run of each with the XComs that *plan* lists."""
    bag = DagBag(str(dags), bundle_path=dags, bundle_name=BUNDLE)
    assert not bag.import_errors, bag.import_errors
    wanted = json.loads(plan.read_text())
    with create_session() as session:
        bundle = DagBundleModel(name=BUNDLE)
        bundle.teams.append(Team(name=wanted["team"]))
        session.add_all([bundle, Team(name=wanted["other_team"])])
    sync_bag_to_db(bag, BUNDLE, None)
    for dag_id in bag.dags:
        with create_session() as session:
            _run(dag_id, wanted, session)


def _run(dag_id: str, wanted: dict[str, Any], session: Session) -> None:
    dag: Any = SerializedDagModel.get_dag(dag_id, session=session)
    now = timezone.utcnow()
    run = dag.create_dagrun(
        run_id=wanted["run_id"],
        logical_date=now,
        data_interval=(now, now),
        run_after=now,
        run_type=DagRunType.MANUAL,
        triggered_by=DagRunTriggeredByType.TEST,
        state=DagRunState.SUCCESS,
        session=session,
    )
    for instance in run.get_task_instances(session=session):
        running = instance.task_id in wanted["running"]
        instance.state = TaskInstanceState.RUNNING if running else TaskInstanceState.SUCCESS
        instance.start_date = instance.end_date = now
    session.flush()
    for task_id, map_index, key, value in wanted["xcoms"]:
        place = {"dag_id": dag_id, "task_id": task_id, "run_id": wanted["run_id"], "map_index": map_index}
        XComModel.set(key=key, value=value, session=session, **place)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
