"""No text that people or logs see holds a secret."""

from __future__ import annotations

import pickle
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from http_enrich_middleware.auth.bearer import Config as BearerConfig
from http_enrich_spark.config import (
    PipelineConfig,
    PipelineError,
    RunInfo,
    RunKey,
    check_pipeline,
    read_document,
    secret_texts,
    secret_values,
)
from tests.support.pipelines import load, pipeline, written

CANARY = "canary-7f3a"
ENVIRON = {"AIRFLOW_CONN_API": f'{{"login": "{CANARY}-login", "password": "{CANARY}-${{row.x}}"}}'}
PASSWORD = "${conn.api.password}"


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    file = tmp_path / "key"
    file.write_text(f"{CANARY}-file\n")
    return file


@pytest.fixture
def config(key_file: Path) -> PipelineConfig:
    """A pipeline with a secret in every place that takes one."""
    changes = {
        "endpoint.params": {"key": PASSWORD},
        "endpoint.headers": {"X-Key": f"key {PASSWORD}"},
        "endpoint.json": {"a": [PASSWORD, {"b": f"${{file.{key_file}}}!"}]},
        "middleware": [{"type": "bearer", "token": f"v1.{PASSWORD}"}],
    }
    return load(changes, ENVIRON)


def test_the_secrets_arrive(config: PipelineConfig) -> None:
    """Otherwise the tests below would find nothing to hide."""
    (bearer,) = config.middleware
    body: Any = config.endpoint.json_

    assert isinstance(bearer, BearerConfig)
    assert bearer.token.get_secret_value() == f"v1.{CANARY}-${{row.x}}"
    assert written(body["a"][1]["b"]) == f"{CANARY}-file!"


@pytest.mark.parametrize(
    "show",
    [
        repr,
        str,
        PipelineConfig.model_dump_json,
        lambda config: str(config.model_dump()),
        lambda config: repr(pickle.loads(pickle.dumps(config))),
        lambda config: f"{config.endpoint.headers} {config.middleware} {config.endpoint.json_!r}",
    ],
    ids=["repr", "str", "json", "dump", "pickled", "parts"],
)
def test_no_form_of_a_configuration_shows_them(
    config: PipelineConfig, show: Callable[[PipelineConfig], str]
) -> None:
    shown = show(config)

    assert "***" in shown
    assert CANARY not in shown


def test_a_secret_cannot_bring_a_placeholder_along(config: PipelineConfig) -> None:
    header = config.endpoint.headers["X-Key"]

    assert (header.literal, header.secret) == (f"key {CANARY}-${{row.x}}", True)


@pytest.mark.parametrize(
    "key",
    [
        "version",
        "name",
        "source",
        "source.path",
        "source.where",
        "source.id",
        "source.options.key",
        "endpoint.base_url",
        "endpoint.method",
        "endpoint.headers",
        "endpoint.path",
        "transport",
        "transport.base_timeout",
        "transport.tcp_connection.limit",
        "middleware",
        "response.select",
        "response.keep_body",
        "sink.path",
        "sink.mode",
        "sink.partition_by",
        "execution.concurrency",
        "execution.checkpoint",
    ],
)
@pytest.mark.parametrize("text", [PASSWORD, f"a {PASSWORD}"])
def test_a_value_that_is_shown_cannot_be_secret(key: str, text: str) -> None:
    with pytest.raises(PipelineError) as caught:
        load({key: text}, ENVIRON)

    assert str(caught.value).startswith(
        f"pipeline: {key}: a secret (${{conn.…}}, ${{file.…}}) must not be used"
    )
    assert CANARY not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    "middleware",
    [
        {"type": "retry", "max_attempts": PASSWORD},
        {"type": "retry", "base_delay": PASSWORD},
        {"type": "retry", "retry_status_codes": [PASSWORD]},
        {"type": "bearer", "token": [PASSWORD]},
        {"type": "bearer", "token": PASSWORD, "realm": PASSWORD},
    ],
)
def test_a_problem_beside_a_secret_does_not_repeat_it(middleware: dict[str, Any]) -> None:
    with pytest.raises(PipelineError) as caught:
        load({"middleware": [middleware]}, ENVIRON)

    assert CANARY not in "".join(traceback.format_exception(caught.value))
    assert CANARY not in repr(caught.value.problems)


@pytest.mark.parametrize(("token", "value"), [("${env.TOKEN}", CANARY), ("v1.${var.half}", f"v1.{CANARY}")])
def test_a_token_from_elsewhere_is_as_secret_as_one_from_a_connection(token: str, value: str) -> None:
    middleware = [{"type": "bearer", "token": token}]
    config = load({"middleware": middleware}, {"TOKEN": CANARY}, variables={"half": CANARY})
    (bearer,) = config.middleware

    assert isinstance(bearer, BearerConfig)
    assert bearer.token.get_secret_value() == value
    assert CANARY not in f"{config!r} {config.model_dump_json()}"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("endpoint.headers", {"X-Tenant": "v1 ${env.KEY}"}),
        ("endpoint.params", {"api_key": "${env.KEY}"}),
        ("endpoint.json", {"login": [{"accessToken": "${env.KEY}"}]}),
        ("endpoint.form", {"password": "${env.KEY}"}),
    ],
)
def test_a_key_from_the_environment_is_a_secret_of_the_request(key: str, value: Any) -> None:
    """Neither the ledger, which keeps the settings of a run, nor a log may show it."""
    changes = {"endpoint.method": "POST", key: value}
    document = read_document(pipeline(changes))
    config, other = (load(changes, {"KEY": text}) for text in (CANARY, "another"))

    assert CANARY in str(list(secret_texts(config)))
    assert secret_values(document, {"KEY": CANARY}) == {CANARY}
    assert CANARY not in f"{config!r} {RunKey.of(config, RunInfo()).settings}"
    assert RunKey.of(config, RunInfo()).digest == RunKey.of(other, RunInfo()).digest


@pytest.mark.parametrize(
    ("key", "value"), [("endpoint.params", {"lang": "${env.X}"}), ("endpoint.path", "/${env.X}/key")]
)
def test_what_else_comes_from_the_environment_is_shown_and_makes_another_run(key: str, value: Any) -> None:
    """It is no secret: taken out of answers, it would leave holes in them."""
    german, french = (load({key: value}, {"X": lang}) for lang in ("de-DE", "fr-FR"))

    assert list(secret_texts(german)) == []
    assert "de-DE" in str(RunKey.of(german, RunInfo()).settings)
    assert RunKey.of(german, RunInfo()).digest != RunKey.of(french, RunInfo()).digest


@pytest.mark.parametrize(
    ("written", "other"),
    [
        ("${row.city} ${conn.api.password}", "${row.name} ${conn.api.password}"),
        ("${conn.api.password}", "v2 ${conn.api.password}"),
        ("${conn.api.extra.lang}", "${conn.api.extra.tongue}"),
    ],
)
def test_what_changes_beside_a_secret_makes_another_run(written: str, other: str) -> None:
    environ = {
        "AIRFLOW_CONN_API": f'{{"password": "{CANARY}", "extra": {{"lang": "de", "tongue": "{CANARY}"}}}}'
    }
    keys = [
        RunKey.of(load({"endpoint.params": {"q": each}}, environ), RunInfo()) for each in (written, other)
    ]

    assert keys[0].digest != keys[1].digest
    assert CANARY not in str([each.settings for each in keys])


def test_a_secret_from_a_file_is_the_text_without_its_newline(key_file: Path) -> None:
    config = load({"endpoint.headers": {"X": f"${{file.{key_file}}}"}})
    header = config.endpoint.headers["X"]

    assert (header.literal, header.secret) == (f"{CANARY}-file", True)


def test_a_secret_file_that_is_not_text_is_refused_and_not_repeated(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_bytes(CANARY.encode() + b"\xff")

    with pytest.raises(PipelineError) as caught:
        load({"endpoint.headers": {"X": f"${{file.{file}}}"}})

    assert "cannot be read: UnicodeDecodeError" in str(caught.value)
    assert CANARY not in "".join(traceback.format_exception(caught.value))


def test_whoever_has_to_hide_the_secrets_can_ask_for_them(key_file: Path) -> None:
    changes = {
        "endpoint.base_url": "https://${conn.api.host}",
        "endpoint.headers": {"X": PASSWORD, "Y": f"${{file.{key_file}}} ${{var.x}} ${{row.y}}"},
    }
    environ = {"AIRFLOW_CONN_API": f"http://me:{CANARY}@h.test"}

    assert secret_values(read_document(pipeline(changes)), environ) == {CANARY, f"{CANARY}-file"}


def test_a_secret_file_that_is_not_there_is_named() -> None:
    with pytest.raises(PipelineError, match="the secret file /nowhere/key cannot be read: FileNotFoundError"):
        load({"endpoint.headers": {"X": "${file./nowhere/key}"}})


@pytest.mark.parametrize("key", ["source.path", "source.options.key", "endpoint.path", "sink.path"])
def test_a_secret_in_a_place_that_is_shown_is_found_while_the_dag_is_parsed(key: str) -> None:
    with pytest.raises(PipelineError) as caught:
        check_pipeline(pipeline({key: f"/{PASSWORD}"}))

    assert str(caught.value).startswith(f"pipeline: {key}: a secret (")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("token", ["${env.EMPTY}", "${var.empty}"])
def test_an_empty_secret_is_refused(token: str) -> None:
    middleware = [{"type": "bearer", "token": token}]

    with pytest.raises(PipelineError, match="this secret is empty"):
        load({"middleware": middleware}, {"EMPTY": ""}, variables={"empty": ""})


def test_secrets_out_of_the_environment_can_be_hidden_too() -> None:
    config = load({"middleware": [{"type": "bearer", "token": "v1.${env.TOKEN}"}]}, {"TOKEN": CANARY})

    assert set(secret_texts(config)) == {f"v1.{CANARY}"}
