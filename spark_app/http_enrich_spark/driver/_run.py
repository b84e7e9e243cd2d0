"""One run, from source to sink, in as many tries as it takes."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from pyspark.sql import SparkSession

from http_enrich_spark._logs import logger
from http_enrich_spark.config import PipelineConfig, Recipe, RunInfo, differences, plain
from http_enrich_spark.worker import FAILURES
from http_enrich_transport import did_you_mean

from ._errors import RunError
from ._files import Folder
from ._outlets import sinks_of
from ._redrive import Redrive
from ._report import Report, repeated_report
from ._slots import is_on
from ._summary import RunSummary
from ._try import Try
from .ledger import Done, Ledger, last_done, last_failures, read
from .sink import sink_exists


def run_pipeline(
    spark: SparkSession,
    config: PipelineConfig,
    run: RunInfo,
    *,
    fresh: str = "",
    recipe: Recipe | None = None,
) -> RunSummary:
    """Do as `report_pipeline` does, and return the figures only."""
    return report_pipeline(spark, config, run, fresh=fresh, recipe=recipe).summary


def report_pipeline(
    spark: SparkSession,
    config: PipelineConfig,
    run: RunInfo,
    *,
    fresh: str = "",
    recipe: Recipe | None = None,
) -> Report:
    """
    Enrich the source of *config*, publish the result, and report.

    A run that was published before requests nothing and changes nothing; one that was not goes on
    where its last try has ended. With *fresh*, a name, it begins anew either way, and goes on
    only with tries that have that name. *recipe* is what *config* was loaded
    from, without which `redrive_run` will not know it. Raises `RunError` when the
    pipeline does not fit the data, when rows went missing, when too many failed, when the run was given
    up or another try has taken over; nothing is published then, what was answered is kept, and the error
    has the report as far as it goes.
    """
    try:
        return _report(spark, config, run, fresh, recipe)
    except RunError as error:
        if recipe is not None:
            error.args = (recipe.located(str(error)),)
        raise


def _report(
    spark: SparkSession, config: PipelineConfig, run: RunInfo, fresh: str, recipe: Recipe | None
) -> Report:
    _check_session(spark, config)
    ledger = Ledger(spark, config, run, fresh=fresh)
    done = _published(ledger, config)
    if done is None:
        with ledger.epoch() as epoch:
            # Whoever had the run may have published it while this try waited for its end.
            done = _published(ledger, config)
            if done is None:
                return Try(spark, config, run, epoch, recipe).run()
    return _repeated(spark, done, config, ledger)


def redrive_run(
    spark: SparkSession, folder: str, *, only: Sequence[str] = (), instead: Recipe | None = None
) -> RunSummary:
    """
    Request again those rows of the published run in *folder* that failed, and put the answers in their place.

    *only* are the outcomes to be redriven, by default all failures; *instead* is a mended pipeline to do
    it with. A redrive goes on where its last try has ended. Returns the figures of the run as it is
    then. Raises `PipelineError`, and `RunError` as `run_pipeline` does and where the sink cannot be changed.
    """
    _check_outcomes(only)
    recipe = _recipe(Folder(spark, folder))
    config = recipe.load() if instead is None else _instead(recipe, instead)
    _check_session(spark, config)
    chosen = sorted(only or FAILURES)
    ledger = Ledger(spark, config, recipe.run, only=chosen)
    done = last_done(ledger.folder)
    if done is None or done.sinks != sinks_of(config):
        msg = (
            f"{folder}: the run in {ledger.folder} is not published, or into another sink than this pipeline "
            "has by now; start the run itself"
        )
        raise RunError(msg)
    with ledger.redrive() as epoch:
        failures = last_failures(ledger.folder)
        if failures is None or not failures.count(chosen):
            logger.info("%s: no row has failed with %s; nothing to do", config.name, ", ".join(chosen))
            summary = failures.summary if failures else done.summary
            return msgspec.convert({**summary, "redriven": 0, "healed": 0, "repeated": True}, RunSummary)
        return Redrive(spark, config, recipe.run, epoch, done, failures, chosen).run().summary


def _check_session(spark: SparkSession, config: PipelineConfig) -> None:
    keyed = any(each.type == "idempotency_key" for each in config.middleware)
    if is_on(spark.sparkContext.getConf(), "spark.speculation") and not keyed:
        msg = (
            "set spark.speculation=false, or list the middleware idempotency_key: speculative copies of a "
            "task send its requests twice"
        )
        raise RunError(msg)


def _published(ledger: Ledger, config: PipelineConfig) -> Done | None:
    """Return how the run was published; raises `RunError` if by now it is to go somewhere else."""
    done = ledger.done()
    if done is not None and done.sinks != sinks_of(config):
        changes = ", ".join(differences(done.sinks, sinks_of(config)))
        msg = (
            f"this run was published on {done.at}, but {changes} changed since; change it back, or start "
            "it with --fresh (resume='never' in Airflow) to request everything again"
        )
        raise RunError(msg)
    return done


def _repeated(spark: SparkSession, done: Done, config: PipelineConfig, ledger: Ledger) -> Report:
    if not sink_exists(spark, config.sink):
        msg = (
            f"this run was published on {done.at}, but {config.sink.name} is not there any more; start it "
            "with --fresh (resume='never' in Airflow) to request everything again"
        )
        raise RunError(msg)
    again = "nothing is requested, unless it is started with --fresh"
    logger.info("%s: published on %s already, so %s", config.name, done.at, again)
    figures = {**done.summary, "repeated": True, "folder": ledger.folder.path}
    return repeated_report(msgspec.convert(figures, RunSummary), ledger.folder)


def _check_outcomes(only: Sequence[str]) -> None:
    for name in only:
        if name not in FAILURES:
            hint = did_you_mean(name, FAILURES, f"there are: {', '.join(FAILURES)}")
            msg = f"--only: no row fails with {name!r}; {hint}"
            raise RunError(msg)


def _recipe(folder: Folder) -> Recipe:
    recipe = read(folder / "run.json", Recipe)
    if recipe is None:
        msg = f"{folder} has no run.json; give the folder of a published run, the 'folder' in its figures"
        raise RunError(msg)
    return recipe


def _instead(recipe: Recipe, instead: Recipe) -> PipelineConfig:
    """Return the mended pipeline; raises `RunError` if its rows would not fit among those of the run."""
    old, new = recipe.load(), msgspec.structs.replace(instead, run=recipe.run).load()
    for name in ("name", "source", "response"):
        if plain(getattr(old, name)) != plain(getattr(new, name)):
            msg = (
                f"{instead.name}: {name} is not as it was in the run; rows or columns would not fit together"
            )
            raise RunError(msg)
    return new
