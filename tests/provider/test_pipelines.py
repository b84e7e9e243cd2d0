"""How pipelines are found and checked while a DAG file is parsed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from http_enrich_provider import _pipelines
from http_enrich_provider._pipelines import checked
from http_enrich_spark.config import PipelineError
from tests.support.pipelines import TEXT


@pytest.fixture(autouse=True)
def _fresh() -> None:
    _pipelines._checked_file.cache_clear()


def write(folder: Path, text: str = TEXT, name: str = "p.yaml") -> Path:
    folder.mkdir(exist_ok=True)
    file = folder / name
    file.write_text(text)
    return file


def test_a_file_is_checked_once_as_long_as_it_does_not_change(tmp_path: Path) -> None:
    write(tmp_path)

    assert checked("p.yaml", {}, tmp_path) is checked("p.yaml", {}, tmp_path)


def test_a_file_that_was_changed_is_checked_again(tmp_path: Path) -> None:
    file = write(tmp_path)
    checked("p.yaml", {}, tmp_path)
    file.write_text(TEXT + "oops: 1\n")

    with pytest.raises(PipelineError, match="unknown key 'oops'"):
        checked("p.yaml", {}, tmp_path)


def test_a_change_that_keeps_the_size_is_seen_by_its_time(tmp_path: Path) -> None:
    file = write(tmp_path)
    checked("p.yaml", {}, tmp_path)
    before = file.stat().st_mtime_ns
    file.write_text(TEXT.replace("airports", "oirports"))
    os.utime(file, ns=(before + 1, before + 1))

    assert checked("p.yaml", {}, tmp_path).data["source"]["path"].endswith("oirports")


def test_other_variables_are_another_question(tmp_path: Path) -> None:
    write(tmp_path, TEXT.replace("data/airports", "${var.source}"))
    checked("p.yaml", {"source": "x"}, tmp_path)

    with pytest.raises(PipelineError, match="no variable 'source'"):
        checked("p.yaml", {"other": "x"}, tmp_path)


def test_a_file_beside_the_dag_comes_before_one_in_the_bundle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))  # as Airflow does with a bundle
    dags = tmp_path / "dags"
    in_bundle = write(tmp_path)
    dags.mkdir()
    found = checked("p.yaml", {}, dags).name
    beside = write(dags)

    assert found == str(in_bundle)
    assert checked("p.yaml", {}, dags).name == str(beside)


def test_a_folder_above_that_is_no_bundle_is_not_looked_at(tmp_path: Path) -> None:
    write(tmp_path)

    with pytest.raises(PipelineError, match=r"dags/p\.yaml: cannot be read: No such file"):
        checked("p.yaml", {}, tmp_path / "dags")
