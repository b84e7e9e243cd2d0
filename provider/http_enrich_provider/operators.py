"""The operator that enriches a table."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator

from .links import ReportLink, SparkUILink, show_report_link, show_spark_ui

# Airflow imports this module whenever it parses a DAG file: what takes time to import, and what
# only the process of a task needs, is imported by the methods that need it.
if TYPE_CHECKING:
    from airflow.providers.apache.spark.hooks.spark_submit import SparkSubmitHook
    from airflow.providers.common.compat.sdk import Context
    from airflow.providers.openlineage.extractors import OperatorLineage
    from airflow.sdk import DAG
    from airflow.sdk.definitions.mappedoperator import OperatorPartial

    from http_enrich_spark.config import Document
    from http_enrich_spark.spark_ui import SparkUI

    from ._run import Run

_OURS = ("application", "application_args", "java_class")
_RESUME = ("auto", "never")
_SUBMITTED = "http_enrich_submitted"
"""Key of the task's state for which application runs what; its id alone is kept by Airflow's mixin."""
_OUTDATED = "OUTDATED"


class HttpEnrichSparkOperator(SparkSubmitOperator):
    """
    Turn each row of a table into one HTTP request, and each answer into columns.

    The pipeline is checked when the DAG file is parsed: what is wrong with it
    shows as an import error with file, line and column. Before anything is
    submitted it is checked again with the values of this run. Returns the
    figures of the run: rows in and out, ok, failed, calls, retries, rows per second;
    the XCom `http_enrich_report` has the whole report, also that of a run that failed.

    Args:
        pipeline: Path of the pipeline YAML, relative to the DAG file or its bundle; or the same as a mapping.
        variables: Values for `${var.…}`; rendered by Airflow, so `{{ … }}` works here. No secrets.
        window: The data window for `${run.…}`, rendered by Airflow: one day (`2026-01-01`, in UTC),
            `START/END` in ISO 8601, or a mapping with `start` and `end`. Without it, the window is that
            of the partition or the data interval.
        resume: `auto` goes on where an earlier try of the same pipeline and window has ended, and does
            not repeat a run that was published; `never` requests everything again, once: retries go on.
        name: Name of the Spark application, in its UI.
        spark_options: Everything else that `SparkSubmitOperator` takes, but for what starts
            the application, which is ours.

    Raises:
        PipelineError: The pipeline cannot run; raised while the DAG file is parsed, unless pipelines are
            mapped over. It is an `AirflowFailException` too.
        AirflowFailException: A retry cannot help: a placeholder has no value, a connection is missing,
            the pipeline does not fit the data, the API rejected the credentials.
        AirflowException: Another try may help; it goes on from where this one has ended.
    """

    template_fields: Sequence[str] = (
        *(field for field in SparkSubmitOperator.template_fields if field not in _OURS),
        "variables",
        "window",
        "resume",
    )
    operator_extra_links = (SparkUILink(), ReportLink())
    spark_ui: SparkUI | None = None
    _instance: Any = None

    def __init__(
        self,
        *,
        pipeline: str | os.PathLike[str] | Mapping[str, Any],
        variables: Mapping[str, Any] | None = None,
        window: str | Mapping[str, Any] | None = None,
        resume: str = "auto",
        name: str = "http-enrich",
        **spark_options: Any,
    ) -> None:
        _refuse_ours(spark_options)
        super().__init__(name=name, **spark_options)
        self.variables = variables or {}
        self.window = window
        self.resume = resume
        self.pipeline = pipeline
        self.killed = False
        self._run: Run | None = None
        # A mapped task is made when it runs, so execute can say what is wrong, and report it.
        if not getattr(self, "_BaseOperator__from_mapped", False):
            _check_resume(resume)
            self.document()

    @classmethod
    def partial(cls, **options: Any) -> OperatorPartial:
        """Check what is not mapped over, which is known while the DAG file is parsed."""
        from airflow.sdk.definitions._internal.contextmanager import DagContext

        _refuse_ours(options)
        _check_resume(options.get("resume", "auto"))
        if "pipeline" in options:
            dag = options.get("dag") or DagContext.get_current()
            _document(options["pipeline"], options.get("variables"), dag)
        return super().partial(**options)

    def document(self) -> Document:
        """Return the pipeline, checked as far as its variables' values do not matter."""
        has_dag = self.has_dag()  # type: ignore[no-untyped-call]
        return _document(self.pipeline, self.variables, self.dag if has_dag else None)

    def execute(self, context: Context) -> dict[str, Any]:  # type: ignore[override]
        """Check the pipeline with this run's values, submit it, and return its figures."""
        from ._results import reported
        from ._run import Run

        self._instance = context.get("ti")
        show_report_link(self, self._instance)
        with reported(self.pipeline, context):
            self._run = Run(self, context)
        return self._run.result(lambda: super(HttpEnrichSparkOperator, self).execute(context))

    def _get_hook(self) -> SparkSubmitHook:
        from ._spark_ui import watched

        hook = super()._get_hook()
        return watched(hook, self._stop_if_killed, lambda ui: show_spark_ui(self, self._instance, ui))

    def _stop_if_killed(self) -> None:
        """End spark-submit now if `on_kill` came while it was being started, and found no process."""
        if self.killed:
            self._current().stop()

    def on_kill(self) -> None:
        """Stop the application and its requests; what it has committed is there for the next try."""
        self.killed = True
        # If nothing was submitted, this is no moment to look up connections for a hook.
        if self._hook is not None:
            self._current().stop()
            super().on_kill()

    def submit_job(self, context: Context) -> str | None:
        """Submit to a cluster that tracks applications, and note what of."""
        external_id = super().submit_job(context)
        store = context.get("task_state_store")
        if store is not None and external_id is not None:
            store.set(_SUBMITTED, {"id": external_id, "digest": self._current().digest})
        return external_id

    def get_job_status(self, external_id: Any, context: Context) -> str:
        """Return the state of an earlier try's application, `OUTDATED` if it does not count any more."""
        try:
            status = super().get_job_status(external_id, context)
        except RuntimeError as error:
            if "HTTP 404" not in str(error):
                raise
            return _OUTDATED  # the cluster has forgotten it, our ledger has not
        store = context.get("task_state_store")
        submitted = store.get(_SUBMITTED) if store is not None else None
        if submitted != {"id": external_id, "digest": self._current().digest}:
            return _OUTDATED
        if not self.is_job_succeeded(status):
            return status
        # Another one finds the run published, and says with what.
        reports = self.resume != "never" and self._current().has_reported(str(external_id))
        return status if reports else _OUTDATED

    def poll_until_complete(self, external_id: Any, context: Context) -> Any:
        """Wait for the application's end, and return the figures of the run."""
        self._current().application = str(external_id)
        if self._hook is not None and self._hook._is_yarn:
            # So that on_kill reaches an application of an earlier try too.
            self._hook._yarn_application_id = str(external_id)
        super().poll_until_complete(external_id, context)
        return self.get_job_result(external_id, context)

    def get_job_result(self, external_id: Any, context: Context) -> Any:
        """Return the figures of the run that the application *external_id* has ended well."""
        run = self._current()
        run.application = str(external_id)
        return run.figures()

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any] | None:
        """Tell OpenLineage what was read and written, how many rows, and how good they are."""
        if self._run is None:
            return None  # it has not come as far as knowing its tables
        from ._lineage import lineage

        return lineage(self._run)

    def get_openlineage_facets_on_failure(self, task_instance: Any) -> OperatorLineage[Any, Any] | None:
        """Tell OpenLineage what is known of a run that failed."""
        return self.get_openlineage_facets_on_complete(task_instance)

    def _current(self) -> Run:
        assert self._run is not None  # noqa: S101 - all of this is called by execute
        return self._run


def _refuse_ours(options: Mapping[str, Any]) -> None:
    for option in _OURS:
        if option in options:
            msg = f"HttpEnrichSparkOperator sets {option!r} itself; leave it out"
            raise TypeError(msg)


def _check_resume(resume: Any) -> None:
    if isinstance(resume, str) and resume not in _RESUME and "{{" not in resume:
        msg = f"resume is {resume!r}; give 'auto' or 'never'"
        raise ValueError(msg)


def _document(pipeline: Any, variables: Any, dag: DAG | None) -> Document:
    from ._pipelines import checked

    return checked(pipeline, variables, Path(dag.fileloc).parent if dag is not None else Path().absolute())
