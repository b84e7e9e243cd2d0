"""Gives Airflow a home of its own before anything imports it, hurries Java, and quiets a library."""

from __future__ import annotations

import atexit
import logging
import os
import shutil
import tempfile

from tests.support.spark_archive import OPTIONS

_home = tempfile.mkdtemp(prefix="http-enrich-airflow-")
atexit.register(shutil.rmtree, _home, ignore_errors=True)
os.environ["AIRFLOW_HOME"] = _home
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"

os.environ["JDK_JAVA_OPTIONS"] = OPTIONS

# It logs from a finalizer, when the streams of the test run are closed already.
logging.getLogger("py4j").setLevel(logging.WARNING)
