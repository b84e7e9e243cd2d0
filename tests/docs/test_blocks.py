"""What the docs show works: every YAML block loads, every Python block runs."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from _pytest.mark import ParameterSet

from http_enrich_spark.config import check_pipeline, read_document
from tests.support.dag_files import load_dag_files

ROOT = Path(__file__).resolve().parents[2]
DOCS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
REST = {
    "version": 1,
    "name": "rest",
    "source": {"path": "in", "id": ["id"]},
    "endpoint": {"base_url": "https://api.example.com"},
    "sink": {"path": "out"},
}


def blocks(language: str) -> list[ParameterSet]:
    """Every block of *language*, named by its file and line."""
    found = []
    for file in DOCS:
        text = file.read_text()
        for match in re.finditer(rf"^```{language}\n(.*?)^```", text, re.M | re.S):
            line = text.count("\n", 0, match.start()) + 1
            found.append(pytest.param(match[1], id=f"{file.name}:{line}"))
    return found


@pytest.mark.parametrize("block", blocks("yaml"))
def test_yaml_block_is_a_pipeline_or_a_part_of_one(block: str) -> None:
    rest = {key: value for key, value in REST.items() if not re.search(rf"^{key}:", block, re.M)}

    check_pipeline(block + (yaml.safe_dump(rest) if rest else ""))


def test_dag_of_the_readme_loads_with_its_pipeline(tmp_path: Path) -> None:
    readme = (ROOT / "README.md").read_text()
    for name in ("airports.yaml", "airports_daily.py"):
        (block,) = re.findall(rf"^`dags/{name}`\n\n```\w+\n(.*?)^```", readme, re.M | re.S)
        (tmp_path / name).write_text(block)

    bag = load_dag_files(tmp_path)

    assert (bag.import_errors, list(bag.dags)) == ({}, ["airports_daily"])


@pytest.mark.parametrize(
    "block", [each for each in blocks("python") if "HttpEnrichSparkOperator" in str(each.values)]
)
def test_dag_of_a_page_loads_with_the_example_pipelines(block: str, tmp_path: Path) -> None:
    for file in (ROOT / "dags_examples").glob("*.yaml"):
        shutil.copy(file, tmp_path)
    (tmp_path / "block.py").write_text(block)

    bag = load_dag_files(tmp_path)

    assert (bag.import_errors, len(bag.dags)) == ({}, 1)


@pytest.mark.parametrize("block", [each for each in blocks("python") if "CONTRIBUTING" in str(each.id)])
def test_test_of_the_contributors_guide_passes(block: str, tmp_path: Path) -> None:
    file = tmp_path / "test_block.py"
    file.write_text(block)

    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", str(file), "-c", str(ROOT / "pyproject.toml")],
        capture_output=True,
        text=True,
    )

    assert "1 passed" in result.stdout


def test_example_dags_load() -> None:
    bag = load_dag_files(ROOT / "dags_examples")

    assert bag.import_errors == {}
    assert sorted(bag.dags) == sorted(file.stem for file in (ROOT / "dags_examples").glob("*.py"))


@pytest.mark.parametrize("file", sorted((ROOT / "dags_examples").glob("*.yaml")), ids=lambda file: file.name)
def test_example_pipeline_has_nothing_to_complain_about(file: Path) -> None:
    """A pipeline that is mapped over is not checked while its DAG is parsed."""
    assert check_pipeline(read_document(file)).warnings == []


def test_local_links_lead_somewhere() -> None:
    links = [
        (file, target)
        for file in DOCS
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", file.read_text())
    ]

    assert [f"{file.name}: {target}" for file, target in links if not (file.parent / target).exists()] == []
