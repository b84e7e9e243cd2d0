"""The Spark application: reads a submission, runs it, reports."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from ._logs import log_to, logger
from ._session import open_session
from .bundle import build_py_files
from .config import PipelineError, Recipe
from .submission import Report, Submission

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def main(arguments: Sequence[str]) -> int:
    """Run the submission in the file that *arguments* name; returns the exit status."""
    log_to(sys.stdout)
    submission = Submission.read(Path(arguments[0]))
    report = _run(submission)
    report.write(Path(submission.report))
    if report.error:
        logger.error("%s", report.error)
    return 1 if report.error else 0


def _run(submission: Submission) -> Report:
    from .driver import RunError, first_line

    try:
        return Report(summary=execute(submission.recipe))
    except PipelineError as error:
        return Report(error=str(error))
    except RunError as error:
        return Report(error=str(error), retry=error.retry)
    except Exception as error:  # noqa: BLE001 - whoever submitted us must be told, whatever it is
        logger.error("the run ended by an error", exc_info=error)
        message = f"{type(error).__name__}: {first_line(error)} (details are in the log above)"
        return Report(error=message, retry=True)


def execute(recipe: Recipe, *, master: str | None = None, fresh: bool = False) -> dict[str, object]:
    """
    Run *recipe* in a Spark session of its own and return the figures; raises `PipelineError` and `RunError`.

    With a *master* this process is the driver; without one, spark-submit has
    said where to run, and has shipped our code. With *fresh*, no answer of an earlier try counts.
    """
    from .driver import check_middleware, run_pipeline

    # Everything that can be wrong with the pipeline is known before Spark starts.
    config = recipe.load()
    check_middleware(config)
    with _spark(config.name, master) as spark:
        return run_pipeline(spark, config, recipe.run, fresh=fresh, recipe=recipe).as_dict()


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
            if master:
                # Executors fetch it from here whenever they start, so it stays as long as the session.
                spark.sparkContext.addPyFile(str(build_py_files(Path(folder) / "http_enrich.zip")))
            yield spark
        finally:
            spark.stop()
