"""How pipelines are found and checked while a DAG file is parsed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from http_enrich_provider import _pipelines
from http_enrich_provider._pipelines import checked
from http_enrich_spark.config import PipelineError
from tests.support.pipelines import TEXT

MAKE_THREE = """
import json, sys

opened = []
sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
from http_enrich_provider.operators import HttpEnrichSparkOperator

file, other = sys.argv[1:]
HttpEnrichSparkOperator(task_id="first", pipeline=file)
loaded = set(sys.modules)
for number in range(3):
    HttpEnrichSparkOperator(task_id=f"again{number}", pipeline=file)
HttpEnrichSparkOperator(task_id="other", pipeline=other)
print(json.dumps({
    "reads": [opened.count(file), opened.count(other)],
    "later": sorted(set(sys.modules) - loaded),
    "heavy": [name for name in ("pyspark", "aiohttp", "pandas", "pyarrow", "numpy") if name in sys.modules],
}))
"""


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


def test_a_dag_file_reads_each_pipeline_once_and_loads_no_spark_for_it(tmp_path: Path) -> None:
    """That is what keeps parsing cheap; what it costs, `benchmarks/parse.py` measures."""
    files = [str(write(tmp_path, name=name)) for name in ("p.yaml", "q.yaml")]
    command = [sys.executable, "-c", MAKE_THREE, *files]
    done = subprocess.run(command, capture_output=True, text=True, check=True)

    assert json.loads(done.stdout.splitlines()[-1]) == {"reads": [1, 1], "later": [], "heavy": []}


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
