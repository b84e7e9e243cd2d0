"""Opens the Spark session of a run."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from ._logs import logger
from .spark_ui import SparkUI

if TYPE_CHECKING:
    from pyspark import SparkConf
    from pyspark.sql import SparkSession

DAEMON = "http_enrich_spark.worker_daemon"
_DAEMON_SETTING = "spark.python.daemon.module"
_QUIET = {"spark.ui.showConsoleProgress": "false", "spark.log.level": "WARN"}
"""Progress bars, which a JVM that Python has started would show, and INFO lines would fill the log."""


def open_session(name: str, master: str | None) -> SparkSession:
    """Open a session at *master*, or where spark-submit says, with our defaults for what nobody has set."""
    from pyspark import SparkConf, SparkContext
    from pyspark.sql import SparkSession

    place = {"spark.master": master, "spark.app.name": f"http-enrich {name}"} if master else {}
    # Only beside a JVM does SparkConf know what spark-submit and spark-defaults.conf say.
    SparkContext._ensure_initialized(conf=SparkConf().setAll([*place.items(), *_QUIET.items()]))
    builder = SparkSession.builder
    for setting, value in (place | _defaults(SparkConf(), master)).items():
        builder = builder.config(setting, value)
    return builder.getOrCreate()


def announce(spark: SparkSession) -> None:
    """Log where the Spark UI of *spark* is, if it has one; the operator makes a link of that line."""
    context = spark.sparkContext
    if context.uiWebUrl:
        logger.info("%s", SparkUI(context.uiWebUrl, context.applicationId))


def _defaults(given: SparkConf, master: str | None) -> dict[str, str]:
    """Return the settings that differ from Spark's own defaults, unless someone has set them."""
    settings = dict(_QUIET)
    if not given.contains(_DAEMON_SETTING) and _finds_daemon(master or given.get("spark.master", "")):
        settings[_DAEMON_SETTING] = DAEMON
    return {setting: value for setting, value in settings.items() if not given.contains(setting)}


def _finds_daemon(master: str) -> bool:
    """
    Return whether the workers' Python has our daemon installed, as far as it can be seen from here.

    Spark starts the daemon before it ships any code, and a worker without a
    daemon fails every task. What a cluster's machines have installed is unknown.
    """
    if master != "local" and not master.startswith("local["):
        return False
    python = os.environ.get("PYSPARK_PYTHON", "python3")  # as in SparkContext
    look = f"import sys; from importlib.util import find_spec; sys.exit(find_spec({DAEMON!r}) is None)"
    # spark-submit puts the shipped code there for this process, and not for the daemon.
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    try:
        done = subprocess.run(  # noqa: S603 - Spark is about to run the same program
            [python, "-c", look], env=environ, capture_output=True, timeout=10, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0
