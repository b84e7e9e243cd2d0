"""Finds in the metadata database what is known of a task instance."""

from __future__ import annotations

from typing import Any, NamedTuple

from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from sqlalchemy import select
from sqlalchemy.orm import Session

from ._report import KEY


class Place(NamedTuple):
    """Names a task instance."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int


class Stored(NamedTuple):
    """The state of a task instance, and the value of its report as it is stored; None if it has none."""

    state: str | None
    report: Any


def stored(place: Place, session: Session) -> Stored | None:
    """Return what is stored about *place*; None if there is no such task instance."""
    instance = select(TaskInstance.state).where(*_is_at(TaskInstance, place))
    row = session.execute(instance).first()
    if row is None:
        return None
    report = session.scalar(select(XComModel.value).where(*_is_at(XComModel, place), XComModel.key == KEY))
    return Stored(row.state, report)


def _is_at(table: Any, place: Place) -> list[Any]:
    return [getattr(table, name) == value for name, value in place._asdict().items()]
