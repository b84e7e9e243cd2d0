"""Loads DAG files as Airflow's DAG processor does, whichever Airflow 3 is installed."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any


def load_dag_files(folder: Path) -> Any:
    """Return the `DagBag` of the *folder*."""
    try:
        module = import_module("airflow.dag_processing.dagbag")
    except ModuleNotFoundError:  # before Airflow 3.2
        module = import_module("airflow.models.dagbag")
    return module.DagBag(str(folder), bundle_path=folder)
