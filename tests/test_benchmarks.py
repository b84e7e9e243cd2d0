"""The benchmarks run; what they measure is for people to judge."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


def run(name: str, *arguments: str) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", f"benchmarks.{name}", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=900)
    rows: list[dict[str, Any]] = json.loads(done.stdout)["rows"]
    return rows


def test_cpu_per_request_is_compared_with_bare_aiohttp() -> None:
    rows = run("transport", "--rounds", "1", "--rows", "50")

    assert [each["contender"] for each in rows] == ["bare aiohttp", "AiohttpEngine", "PyreqwestEngine"] * 2
    assert [each["ratio"] for each in rows if each["contender"] == "bare aiohttp"] == [1.0, 1.0]


def test_a_chain_is_compared_with_the_engine_alone_and_with_bare_aiohttp() -> None:
    rows = run("middleware", "--rounds", "1", "--rows", "50")

    assert [each["where"] for each in rows] == ["memory"] * 9 + ["http"] * 3
    bases = [each for each in rows if each["contender"] in ("engine alone", "bare aiohttp")]
    assert [each["ratio"] for each in bases] == [1.0, 1.0]


def test_first_requests_are_timed_cold_and_warm() -> None:
    rows = run("warmup", "--rounds", "1")

    assert [each["engine"] for each in rows] == ["aiohttp", "pyreqwest"]
    assert all(each["cold_p50"] > 0 and each["warm_p50"] > 0 for each in rows)


def test_runs_on_spark_are_compared_with_what_one_would_write_instead(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    rows = run("pipeline", "--rounds=1", "--rows=40", "--warm=0", "--only=instead-slow", f"--json={file}")

    others = ["pandas UDF + requests", "mapPartitions + gather"]
    assert [each["contender"] for each in rows] == ["product", *others]
    assert [each["requests"] for each in rows] == [40] * 3
    assert all(each["cpu_us"] > 0 and each["connections"] > 0 for each in rows)
    assert json.loads(file.read_text())["rows"] == rows


def test_parsing_a_dag_file_is_compared_with_airflows_own_operator() -> None:
    rows = run("parse", "--rounds", "1", "--pipelines", "3")

    assert [each["what"] for each in rows] == [
        "import SparkSubmitOperator",
        "import HttpEnrichSparkOperator",
        "first pipeline",
        "each further pipeline",
        "each known pipeline",
    ]
    assert all(each["cpu_ms"] > 0 for each in rows)
