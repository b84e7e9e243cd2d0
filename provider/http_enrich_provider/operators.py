"""The operator that enriches a table."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

from http_enrich_spark.bundle import application, build_py_files
from http_enrich_spark.config import (
    Document,
    PipelineConfig,
    PipelineError,
    RunInfo,
    check_pipeline,
    read_document,
)
from http_enrich_spark.submission import Report, Submission

from ._connections import connection_variables, mask_secrets, require_connection
from ._environment import environment, require_program, spark_variables
from ._variables import plain_variables
from ._window import run_info

if TYPE_CHECKING:
    from airflow.providers.apache.spark.hooks.spark_submit import SparkSubmitHook
    from airflow.providers.common.compat.sdk import Context

_OURS = ("application", "application_args", "java_class")


class HttpEnrichSparkOperator(SparkSubmitOperator):
    """
    Turn each row of a table into one HTTP request, and each answer into columns.

    The pipeline is checked when the DAG file is parsed: what is wrong with it
    shows as an import error with file, line and column. Before anything is
    submitted it is checked again with the values of this run. Returns the
    figures of the run: rows in and out, ok, failed, calls, retries, rows per second.

    Args:
        pipeline: Path of the pipeline YAML, relative to the DAG file; or the same as a mapping.
        variables: Values for `${var.…}`; rendered by Airflow, so `{{ … }}` works here. No secrets.
        name: Name of the Spark application, in its UI.
        spark_options: Everything else that `SparkSubmitOperator` takes, but for what starts
            the application, which is ours.

    Raises:
        PipelineError: The pipeline cannot run; raised while the DAG file is parsed.
        AirflowFailException: A retry cannot help: a placeholder has no value, a connection is missing,
            the pipeline does not fit the data, too many rows failed.
        AirflowException: Spark failed; Airflow may try again.
    """

    template_fields: Sequence[str] = (
        *(field for field in SparkSubmitOperator.template_fields if field not in _OURS),
        "variables",
    )

    def __init__(
        self,
        *,
        pipeline: str | os.PathLike[str] | Mapping[str, Any],
        variables: Mapping[str, Any] | None = None,
        name: str = "http-enrich",
        **spark_options: Any,
    ) -> None:
        for option in _OURS:
            if option in spark_options:
                msg = f"HttpEnrichSparkOperator sets {option!r} itself; leave it out"
                raise TypeError(msg)
        super().__init__(name=name, **spark_options)
        self.variables = variables or {}
        self.pipeline = pipeline
        self.document = self._check()

    def execute(self, context: Context) -> dict[str, Any]:  # type: ignore[override]
        """Check the pipeline with this run's values, submit it, and return its figures."""
        for warning in self.document.warnings:
            self.log.warning("%s", warning.at(self.document.name))
        lent = connection_variables(self.document) | spark_variables(self._client_master())
        with TemporaryDirectory(prefix="http-enrich-") as folder, environment(lent):
            submission = self._submission(run_info(context), Path(folder))
            mask_secrets(self.document, self._load(submission))
            report = self._submit(submission, Path(folder), context)
        if report.summary is None:
            # Another try would pay for the same answers again, and meet the same end.
            raise (AirflowException if report.retry else AirflowFailException)(report.error)
        self.log.info("%(rows_out)s rows, %(ok)s ok, %(failed)s failed, %(calls)s calls", report.summary)
        return report.summary

    def _client_master(self) -> str:
        """Return the Spark master; raises `AirflowFailException` when we cannot work with it."""
        require_connection(self._conn_id, "the operator's conn_id")
        connection = self._get_hook()._connection
        if connection["deploy_mode"] == "cluster":
            msg = (
                "deploy mode 'cluster' is not supported: the driver must see this worker's files and "
                "environment; set deploy_mode='client' on the operator or in the Spark connection"
            )
            raise AirflowFailException(msg)
        require_program(str(connection["spark_binary"]))
        return str(connection["master"])

    def _check(self) -> Document:
        """Check what can be known while the DAG file is parsed; templated variables are known later."""
        source = self.pipeline
        if not isinstance(source, Mapping):
            source = self._dag_folder() / Path(source)
        # What another task returns is a reference here, whose keys are not known yet.
        known = self.variables if isinstance(self.variables, Mapping) else None
        return check_pipeline(read_document(source), variables=known)

    def _dag_folder(self) -> Path:
        has_dag = self.has_dag()  # type: ignore[no-untyped-call]
        return Path(self.dag.fileloc).parent if has_dag else Path()

    def _submission(self, run: RunInfo, folder: Path) -> Submission:
        document = self.document
        return Submission(
            name=document.name,
            pipeline=document.text if document.text is not None else document.data,
            variables=plain_variables(self.variables),
            run=run,
            report=str(folder / "report.json"),
        )

    def _load(self, submission: Submission) -> PipelineConfig:
        """Check everything again, now that all values are known; the driver will see these variables."""
        try:
            return submission.load(os.environ | (self.env_vars or {}))
        except PipelineError as error:
            raise AirflowFailException(str(error)) from None

    def _submit(self, submission: Submission, folder: Path, context: Context) -> Report:
        file, archive = folder / "submission.json", build_py_files(folder / "http_enrich.zip")
        submission.write(file)
        theirs = self.py_files
        self.application, self.application_args = str(application()), [str(file)]
        self.py_files = ",".join(filter(None, [theirs, str(archive)]))
        self._hook = None  # one of an earlier try would submit that try's files
        try:
            super().execute(context)
        except AirflowException:
            # The application's own words say more than the end of a log.
            if not Path(submission.report).exists():
                raise
        finally:
            self.py_files = theirs
            _close_pipe(self._hook)
        return Report.read(Path(submission.report))


def _close_pipe(hook: SparkSubmitHook | None) -> None:
    """Close the pipe on which spark-submit spoke; the hook leaves that to the garbage collector."""
    process = getattr(hook, "_submit_sp", None)
    if process is not None and process.stdout is not None:
        process.stdout.close()
