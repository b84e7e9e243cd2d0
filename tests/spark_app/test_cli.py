"""The command `http-enrich`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from click.testing import CliRunner, Result

from http_enrich_spark.cli import main
from tests.support.pipelines import TEXT
from tests.support.runs import pipeline
from tests.support.web import web_server


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "airports.yaml"
    file.write_text(TEXT)
    return file


def validate(file: Path, *options: str) -> Result:
    return CliRunner().invoke(main, ["validate", str(file), *options], env={"AIRFLOW_CONN_API": None})


def test_a_correct_file_is_ok(file: Path) -> None:
    result = validate(file)

    assert (result.exit_code, result.output) == (0, f"{file}: ok\n")


def test_a_wrong_file_is_told_by_line_and_by_exit_code(file: Path) -> None:
    file.write_text(TEXT.replace("name:", "nam:").replace("[icao]", "[]"))

    result = validate(file)

    assert result.exit_code == 1
    assert result.output.startswith(
        f"Error: {file}:1:1: name: this key is missing\n{file}:2:1: nam: unknown key"
    )
    assert f"\n{file}:5:3: source.id: " in result.output


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    result = validate(tmp_path / "none.yaml")

    assert result.exit_code == 1
    assert "none.yaml: cannot be read: No such file or directory" in result.output


def test_secrets_and_environment_are_not_needed(file: Path) -> None:
    """Whoever writes a pipeline has not got the production keys."""
    file.write_text(
        TEXT.replace("data/airports", "${env.NOT_SET}/${run.date}")
        + "middleware:\n  - type: bearer\n    token: ${conn.api.password}${file./nowhere}\n"
    )

    assert validate(file).exit_code == 0


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        ([], 0, "ok"),
        (["--var", "day=2026-01-01"], 0, "ok"),
        (["--var", "x=1", "--var", "day=a=b"], 0, "ok"),
        (["--var", "day="], 0, "ok"),
        (["--var", "days=1"], 1, "no variable 'day'; did you mean 'days'?"),
        (["--var", "day"], 2, "'day' is not of the form name=value"),
    ],
)
def test_names_of_variables_are_checked_when_some_are_given(
    file: Path, options: list[str], code: int, said: str
) -> None:
    file.write_text(TEXT.replace("data/airports", "data/${var.day}"))

    result = validate(file, *options)

    assert result.exit_code == code
    assert said in result.output


def test_values_of_variables_go_with_a_file_of_their_own() -> None:
    result = CliRunner().invoke(main, ["redrive", "out/_http_enrich/x", "--var", "day=1"])

    assert result.exit_code == 2
    assert "--var goes with FILE" in result.output


def test_a_run_is_redriven_by_the_folder_that_it_has_printed(tmp_path: Path) -> None:
    """In processes of their own: all that the second one knows is in the folder."""
    (tmp_path / "source.json").write_text('{"id": "a"}\n{"id": "b"}\n')
    refused = {"b": 429}
    with web_server(lambda request: web.Response(status=refused.get(request.path[-1], 200))) as server:
        data = pipeline(
            tmp_path,
            server.url,
            source={"format": "json", "path": "source.json"},
            sink={"path": "${var.out}"},
        )
        (tmp_path / "pipeline.yaml").write_text(json.dumps(data))
        first = figures(tmp_path, "run", "pipeline.yaml", "--var", "out=out")
        refused.clear()
        second = figures(tmp_path, "redrive", first["folder"], "--only", "rate_limited,server_error")

    assert (first["ok"], first["failed"]) == (1, 1)
    assert (second["ok"], second["failed"], second["redriven"], second["healed"]) == (2, 0, 1, 1)
    assert sorted(server.paths) == ["/items/a", "/items/b", "/items/b"]


def figures(folder: Path, *arguments: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "http_enrich_spark.cli", *arguments, "--master", "local[2]"]
    environ = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "SPARK_LOCAL_IP": "127.0.0.1"}
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_the_version_is_told() -> None:
    result = CliRunner().invoke(main, ["--version"])

    assert result.exit_code == 0
    assert "version" in result.output


def test_validating_loads_neither_spark_nor_an_http_library(file: Path) -> None:
    """It runs in editors and commit hooks, where every second counts."""
    code = (
        "import sys; from http_enrich_spark.cli import main\n"
        "try: main(['validate', sys.argv[1]])\n"
        "except SystemExit as end: assert not end.code\n"
        "print(sorted({'pyspark', 'pyarrow', 'aiohttp', 'airflow'} & set(sys.modules)))"
    )

    done = subprocess.run([sys.executable, "-c", code, file], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines() == [f"{file}: ok", "[]"]


def test_an_order_that_cannot_be_meant_is_a_warning_with_its_line(file: Path) -> None:
    listed = "middleware:\n  - {type: rate_limit, max_requests_per_second: 5}\n  - type: retry\n"
    file.write_text(TEXT + listed)

    result = validate(file)

    assert result.exit_code == 0
    assert result.stdout == f"{file}: ok\n"
    line = len(TEXT.splitlines()) + 2
    assert f"{file}:{line}:5: middleware[0]: rate_limit stands before retry: " in result.stderr
