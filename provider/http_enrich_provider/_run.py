"""One try of the operator: from the rendered arguments to the report."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, AirflowTaskTimeout

from http_enrich_middleware import Redactor
from http_enrich_spark.bundle import application, build_py_files
from http_enrich_spark.config import PipelineConfig, RunKey
from http_enrich_spark.submission import Report, Submission

from ._cluster import check_cluster_mode
from ._connections import connection_variables, mask, require_connection, secrets_of
from ._drivers import Driver, Handover, LocalDriver, RemoteDriver
from ._environment import environment, require_program
from ._pipelines import without_retry
from ._processes import end_with_descendants
from ._results import fail, full_report, push, result_of, tell_assets, without_secrets
from ._variables import plain_variables
from ._window import run_info

if TYPE_CHECKING:
    from airflow.providers.apache.spark.hooks.spark_submit import SparkSubmitHook
    from airflow.providers.common.compat.sdk import Context

    from .operators import HttpEnrichSparkOperator


class Run:
    """
    One try, with everything checked and nothing submitted.

    Raises `AirflowFailException` for what is missing or wrong, which it names.
    """

    def __init__(self, operator: HttpEnrichSparkOperator, context: Context) -> None:
        self.document = operator.document()
        self.application: str | None = None
        """The id of the Spark application, once it is known; on this machine it does not matter."""
        self.report: dict[str, Any] | None = None
        """What went to XCom, once the run has ended."""
        self._operator, self._context, self._redactor = operator, context, Redactor()
        self._log_warnings()
        self._connections = connection_variables(self.document)
        self._submission = self._submitted()
        spark = self._spark()
        self.config = self._load()
        key = RunKey.of(self.config, self._submission.run)
        self.digest = key.digest
        remote = spark["deploy_mode"] == "cluster"
        self._driver: Driver = (
            RemoteDriver(f"{self.config.checkpoint}/{key.folder}") if remote else LocalDriver(spark["master"])
        )

    def result(self, submit: Callable[[], Any]) -> dict[str, Any]:
        """Have *submit* run the application; report, and return the figures or raise why there are none."""
        try:
            with TemporaryDirectory(prefix="http-enrich-") as folder:
                handover = self._driver.hand_over(self._submission, self._connections, Path(folder))
                report = self._ended(handover, Path(folder), submit)
        except AirflowTaskTimeout as error:
            raise self._timed_out() from error
        except Exception as error:
            # Of a task that was stopped, Airflow takes no XCom any more.
            if not self._operator.killed:
                self._push(Report(error=str(error), kind="internal"))
            raise
        report = self._push(report)
        if report.summary is None:
            fail(report)
        result = result_of(report.summary)
        tell_assets(result, self._operator.outlets, self._context)
        self._operator.log.info("%(rows_out)s rows, %(ok)s ok, %(failed)s failed, %(calls)s calls", result)
        return result

    def figures(self) -> dict[str, Any] | None:
        """Return what the task returns, None if the application has reported none; `result` says why."""
        report = self._driver.report(self.application)
        return result_of(report.summary) if report is not None and report.summary is not None else None

    def has_reported(self, application: str) -> bool:
        """Say whether what *application* has reported is there still; a redrive deletes it, say."""
        return self._driver.report(application) is not None

    def stop(self) -> None:
        """End spark-submit with all that it has started here."""
        process = getattr(self._operator._hook, "_submit_sp", None)
        if process is not None and process.poll() is None:
            end_with_descendants(process.pid)
            process.poll()  # else it is a zombie as long as the task lives

    def _ended(self, handover: Handover, folder: Path, submit: Callable[[], Any]) -> Report:
        """Return what the application has reported, or what is known if that is nothing."""
        operator = self._operator
        failure: Exception | None = None
        with environment(handover.variables), _equipped(operator, handover, folder):
            try:
                if not operator.killed:
                    submit()
            except Exception as error:  # noqa: BLE001 - the application's own words say more
                failure = error
            finally:
                _close_pipe(operator._hook)
            if operator.killed:
                msg = "the task was stopped; what was committed is kept, and the next try goes on from there"
                raise AirflowException(msg) from failure
            return self._driver.report(self._submitted_as()) or self._silent(failure)

    def _timed_out(self) -> AirflowTaskTimeout:
        """End the application, which Airflow would do next, and then report."""
        self._operator.on_kill()
        msg = (
            f"execution_timeout of {self._operator.execution_timeout} is over: what was committed is kept, "
            "and the next try goes on from there; raise it if a run takes that long"
        )
        self._push(Report(error=msg, retry=True, kind="timeout"))
        return AirflowTaskTimeout(msg)

    def _push(self, report: Report) -> Report:
        """Push *report* to XCom; returns it as it may be shown."""
        shown = without_secrets(report, self._redactor)
        self.report = full_report(shown, self.document.name, self._submission.run.id)
        push(self.report, self._context)
        return shown

    def _submitted_as(self) -> str | None:
        return self.application or getattr(self._operator._hook, "_yarn_application_id", None)

    def _silent(self, failure: Exception | None) -> Report:
        """Return the report of an application that has left none, whose end Airflow has told by *failure*."""
        far = self._driver.folder if isinstance(self._driver, RemoteDriver) else None
        status = getattr(getattr(self._operator._hook, "_submit_sp", None), "returncode", None)
        error = (
            f"the Spark application has left no report{f' (exit code {status})' if status else ''}; look at "
            f"{f'its log on the cluster, and at {far}' if far else 'the end of its log above'}. Often the "
            "master or conf is wrong, Java is missing, or memory was short"
        )
        if failure is not None:
            error = f"{error}\n{failure}"
            self._operator.log.debug("the submission has failed", exc_info=failure)
        return Report(error=error, retry=True, kind="internal")

    def _log_warnings(self) -> None:
        for warning in self.document.warnings:
            self._operator.log.warning("%s", warning.at(self.document.name))

    def _submitted(self) -> Submission:
        operator, document = self._operator, self.document
        if operator.resume not in ("auto", "never"):
            msg = f"resume became {operator.resume!r}; give 'auto' or 'never'"
            raise AirflowFailException(msg)
        return Submission(
            name=document.name,
            pipeline=document.text if document.text is not None else document.data,
            variables=plain_variables(operator.variables),
            run=run_info(self._context, operator.window),
            report="",
            fresh=_anew(operator, self._context) if operator.resume == "never" else "",
        )

    def _load(self) -> PipelineConfig:
        """Check everything again, now that all values are known, and hide those that are secret."""
        environ = {**os.environ, **self._connections, **(self._operator.env_vars or {})}
        with without_retry():
            config = self._submission.load(environ)
        secrets = secrets_of(self.document, config, environ)
        mask(secrets)
        self._redactor.add(*secrets)
        return config

    def _spark(self) -> Mapping[str, Any]:
        """Return where Spark is; raises `AirflowFailException` when we cannot work with it."""
        connection = require_connection(self._operator._conn_id, "the operator's conn_id")
        try:
            spark = self._operator._get_hook()._connection
        except (RuntimeError, NameError) as error:  # which of them hangs on the version of the hook
            msg = f"the Spark connection is of no use: {error}; is its cluster's provider installed here?"
            raise AirflowFailException(msg) from error
        require_program(str(spark["spark_binary"]))
        if spark["deploy_mode"] == "cluster":
            check_cluster_mode(self._operator, spark["master"], connection)
        return spark


@contextmanager
def _equipped(operator: HttpEnrichSparkOperator, handover: Handover, folder: Path) -> Iterator[None]:
    """Have the operator submit our application for the block."""
    before = operator.application, operator.application_args, operator.files, operator.py_files
    operator.application, operator.application_args = str(application()), handover.arguments
    operator.files = _joined(operator.files, *handover.files)
    operator.py_files = _joined(operator.py_files, str(build_py_files(folder / "http_enrich.zip")))
    operator._hook = None  # one of an earlier try would submit that try's files
    try:
        yield
    finally:
        operator.application, operator.application_args, operator.files, operator.py_files = before


def _anew(operator: HttpEnrichSparkOperator, context: Context) -> str:
    """Name the tries since the task was last cleared, which begin anew together: a retry goes on."""
    task: Any = context.get("ti")
    if task is None:
        return uuid4().hex
    first = task.max_tries - operator.retries + 1  # as Airflow counts for sensors
    return f"{task.dag_id} {task.run_id} {task.task_id} {task.map_index} {first}"


def _joined(*names: str | None) -> str | None:
    return ",".join(filter(None, names)) or None


def _close_pipe(hook: SparkSubmitHook | None) -> None:
    """Close the pipe on which spark-submit spoke; the hook leaves that to the garbage collector."""
    process = getattr(hook, "_submit_sp", None)
    if process is not None and process.stdout is not None:
        process.stdout.close()
