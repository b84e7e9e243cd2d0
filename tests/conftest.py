"""Gives Airflow a home of its own before anything imports it, hurries Java, and quiets a library."""

from __future__ import annotations

import atexit
import logging
import os
import shutil
import tempfile

_home = tempfile.mkdtemp(prefix="http-enrich-airflow-")
atexit.register(shutil.rmtree, _home, ignore_errors=True)
os.environ["AIRFLOW_HOME"] = _home
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"

# Every Java that a test starts lives for seconds: the second compiler would cost as much as all the rest.
# A log of Java's own would go to where scripts of Spark read what they are told.
os.environ["JDK_JAVA_OPTIONS"] = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xlog:disable"

# It logs from a finalizer, when the streams of the test run are closed already.
logging.getLogger("py4j").setLevel(logging.WARNING)
