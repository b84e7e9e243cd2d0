"""Gives Airflow a home of its own before anything imports it."""

from __future__ import annotations

import os
import tempfile

os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp(prefix="http-enrich-airflow-")
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
