"""The Spark application: reads a submission, runs it, reports."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from ._logs import log_to, logger
from ._session import announce, open_session
from .bundle import build_py_files
from .config import PipelineError, Recipe
from .submission import CONNECTIONS, Report, Submission, outcome_file

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from .driver import Report as RunReport


def main(arguments: Sequence[str]) -> int:
    """Run the submission in the file that *arguments* name; returns the exit status."""
    log_to(sys.stdout)
    submission = Submission.read(Path(arguments[0]))
    report = _run_remotely(submission) if submission.remote else _run(submission)
    if report.error:
        logger.error("%s", report.error)
    return 1 if report.error else 0


def _run(submission: Submission) -> Report:
    """Run where the submitter is, and report into its file."""
    report = _reported(lambda: _execute(submission.recipe, fresh=submission.fresh))
    report.write(Path(submission.report))
    return report


def _run_remotely(submission: Submission) -> Report:
    """Run on a machine of the cluster, and report through its file system, which takes a Spark session."""
    from .driver import check_middleware, report_pipeline, write_text

    connections = Path(CONNECTIONS)
    os.environ.update(json.loads(connections.read_text()))
    connections.unlink()
    spark = open_session(submission.name, None)
    announce(spark)

    def work() -> RunReport:
        config = submission.load()
        check_middleware(config)
        recipe = submission.recipe
        return report_pipeline(spark, config, recipe.run, fresh=submission.fresh, recipe=recipe)

    try:
        report = _reported(work)
        place = outcome_file(submission.report, spark.sparkContext.applicationId)
        write_text(spark, place, report.encode().decode())
    finally:
        spark.stop()
    return report


def _reported(work: Callable[[], RunReport]) -> Report:
    """Return how *work* has ended."""
    import msgspec

    from .driver import RunError, first_line

    try:
        done = work()
    except PipelineError as error:
        return Report(error=str(error), kind="pipeline")
    except RunError as error:
        report = msgspec.to_builtins(error.report) if error.report else None
        return Report(error=str(error), retry=error.retry, kind=error.kind, report=report)
    except Exception as error:  # noqa: BLE001 - whoever submitted us must be told, whatever it is
        logger.error("the run ended by an error", exc_info=error)
        message = f"{type(error).__name__}: {first_line(error)} (details are in the log above)"
        return Report(error=message, retry=True, kind="internal")
    return Report(summary=done.summary.as_dict(), report=msgspec.to_builtins(done))


def execute(recipe: Recipe, *, master: str | None = None, fresh: str = "") -> dict[str, object]:
    """
    Run *recipe* in a Spark session of its own and return the figures; raises `PipelineError` and `RunError`.

    With a *master* this process is the driver; without one, spark-submit has
    said where to run, and has shipped our code. With *fresh*, a name, no answer of a try counts
    but of those with that name.
    """
    return _execute(recipe, master=master, fresh=fresh).summary.as_dict()


def _execute(recipe: Recipe, *, master: str | None = None, fresh: str = "") -> RunReport:
    from .driver import check_middleware, report_pipeline

    # Everything that can be wrong with the pipeline is known before Spark starts.
    config = recipe.load()
    check_middleware(config)
    with _spark(config.name, master) as spark:
        return report_pipeline(spark, config, recipe.run, fresh=fresh, recipe=recipe)


def redrive(
    folder: str, *, only: Sequence[str] = (), instead: Recipe | None = None, master: str | None = None
) -> dict[str, object]:
    """Do `redrive_run` in a Spark session of its own and return the figures; *master* is as in `execute`."""
    from .driver import redrive_run

    with _spark("redrive", master) as spark:
        return redrive_run(spark, folder, only=only, instead=instead).as_dict()


@contextmanager
def _spark(name: str, master: str | None) -> Iterator[SparkSession]:
    with TemporaryDirectory(prefix="http-enrich-") as folder:
        spark = open_session(name, master)
        try:
            announce(spark)
            if master:
                # Executors fetch it from here whenever they start, so it stays as long as the session.
                spark.sparkContext.addPyFile(str(build_py_files(Path(folder) / "http_enrich.zip")))
            yield spark
        finally:
            spark.stop()
