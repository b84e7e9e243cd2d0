"""Finds pipelines and checks them, each version of a file once per process."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from airflow.providers.common.compat.sdk import AirflowFailException

from http_enrich_spark.config import Document, PipelineError, check_pipeline, read_document

Pipeline = str | os.PathLike[str] | Mapping[str, Any]


class FinalPipelineError(PipelineError, AirflowFailException):
    """A pipeline that cannot run, for which Airflow does not try again."""


@contextmanager
def without_retry() -> Iterator[None]:
    """Have Airflow take a `PipelineError` of the block for final."""
    try:
        yield
    except PipelineError as error:
        raise FinalPipelineError(error.name, error.problems) from None


def checked(pipeline: Pipeline, variables: Any, dag_folder: Path) -> Document:
    """
    Check what can be known of *pipeline* while a DAG file is parsed; raises `FinalPipelineError`.

    A relative path is looked for in *dag_folder*, then in the bundle. Of *variables* only the names
    are judged, for their values are templates yet, and those of another task's result are not known at all.
    """
    names = frozenset(map(str, variables)) if isinstance(variables, Mapping) else None
    with without_retry():
        if isinstance(pipeline, Mapping):
            return _check(pipeline, names)
        file = _find(Path(pipeline), [dag_folder, *_bundles(dag_folder)])
        return _checked_file(file, _version(file), names)


@lru_cache(maxsize=1024)
def _checked_file(file: Path, version: tuple[int, int] | None, names: frozenset[str] | None) -> Document:
    return _check(file, names)


def _check(source: Path | Mapping[str, Any], names: frozenset[str] | None) -> Document:
    return check_pipeline(read_document(source), variables=None if names is None else dict.fromkeys(names))


def _find(path: Path, folders: Sequence[Path]) -> Path:
    candidates = [folder / path for folder in folders]
    return next((each for each in candidates if each.exists()), candidates[0])


def _bundles(dag_folder: Path) -> list[Path]:
    """Return the folders above *dag_folder* from which its files may import, as Airflow's bundles are."""
    known = {Path(each) for each in sys.path if each}
    return [each for each in dag_folder.parents if each in known]


def _version(file: Path) -> tuple[int, int] | None:
    try:
        status = file.stat()
    except OSError:
        return None  # reading it will say what is wrong
    return status.st_mtime_ns, status.st_size
