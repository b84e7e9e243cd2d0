"""Hands a submission to the driver, and takes its report: on this machine, or on another one."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import msgspec
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

from http_enrich_spark.submission import CONNECTIONS, Report, Submission, outcome_file, write_privately

from ._environment import driver_variables, spark_variables

_SUBMISSION = "http-enrich-submission.json"
_SCHEMES = {"s3a": "s3", "s3n": "s3", "wasb": "abfs", "wasbs": "abfs", "abfss": "abfs"}
"""Names of file systems in Hadoop, and in Airflow."""


@dataclass(frozen=True)
class Handover:
    """What spark-submit gets: the application's arguments, files to ship, and variables to inherit."""

    arguments: list[str]
    files: list[str] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict, repr=False)


class Driver(Protocol):
    """Where the driver is, which decides how it gets its work and how it reports."""

    def hand_over(self, submission: Submission, connections: Mapping[str, str], folder: Path) -> Handover:
        """Write what it needs into *folder*, which is there as long as spark-submit is."""

    def report(self, application: str | None) -> Report | None:
        """Return what it has reported as *application*, None if it has not."""


class LocalDriver:
    """A child of spark-submit: it inherits the environment, which only this user's processes can see."""

    def __init__(self, master: str) -> None:
        self._master = master
        self._report = Path()

    def hand_over(self, submission: Submission, connections: Mapping[str, str], folder: Path) -> Handover:
        """Write the submission, and lend the connections as variables."""
        self._report = folder / "report.json"
        file = folder / _SUBMISSION
        msgspec.structs.replace(submission, report=str(self._report)).write(file)
        return Handover([str(file)], variables={**connections, **driver_variables(self._master)})

    def report(self, application: str | None) -> Report | None:
        """Return what it has written, if it came that far."""
        return Report.read(self._report) if self._report.is_file() else None


class RemoteDriver:
    """
    A process on a machine of the cluster, which shares only the file system of the pipeline with us.

    Connections travel as a file that only its owner can read: variables of such a driver would
    be Spark properties, which everyone sees.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder
        """That of the run, in its checkpoint."""

    def hand_over(self, submission: Submission, connections: Mapping[str, str], folder: Path) -> Handover:
        """Write the submission and the connections, to be shipped beside the driver."""
        file, secrets = folder / _SUBMISSION, folder / CONNECTIONS
        msgspec.structs.replace(submission, report=self.folder, remote=True).write(file)
        write_privately(secrets, json.dumps(dict(connections)).encode())
        # No Python of ours: Spark would pass its path on to a machine that need not have it.
        return Handover([file.name], files=[str(file), str(secrets)], variables=spark_variables())

    def report(self, application: str | None) -> Report | None:
        """
        Return what it has left in the run's folder.

        Raises `AirflowFailException` if Airflow cannot read such a place, `AirflowException` if only for now.
        """
        if application is None:
            return None
        from airflow.sdk import ObjectStoragePath

        place = outcome_file(self.folder, application)
        try:
            text = ObjectStoragePath(object_storage(place)).read_bytes()
        except FileNotFoundError:
            return None
        except (ImportError, ValueError) as error:
            msg = (
                f"{_unread(place, error)}; install the Airflow provider of that file system, or set "
                "execution.checkpoint to a folder that Airflow can read. If the run was published, its "
                f"report is {self.folder}/report.json"
            )
            raise AirflowFailException(msg) from error
        except Exception as error:
            msg = (
                f"{_unread(place, error)}; start it again when that storage can be reached: it goes on from "
                "there, and requests nothing if the run was published"
            )
            raise AirflowException(msg) from error
        return Report.decode(text)


def _unread(place: str, error: Exception) -> str:
    return f"the outcome of the run cannot be read from {place} ({type(error).__name__}: {error})"


def object_storage(path: str) -> str:
    """Return how Airflow names what Spark calls *path*."""
    scheme, separator, rest = path.partition("://")
    if not separator:
        return f"file://{os.path.abspath(path)}"  # noqa: PTH100 - nothing is resolved here
    return f"{_SCHEMES.get(scheme, scheme)}://{rest}"
