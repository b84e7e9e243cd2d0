"""Secrets stay unseen wherever values usually end up."""

from __future__ import annotations

import copy
import json
import logging
import pickle

import pytest
from pydantic import ValidationError

from http_enrich_transport import RESOLVED, Count, SecretText, Settings

CANARY = "canary-7"
SECRET = SecretText(CANARY)


class Config(Settings):
    token: SecretText
    number: Count = 1


class Pipeline(Settings):
    parts: list[Config]


def test_can_be_read_on_purpose() -> None:
    assert SECRET.get_secret_value() == CANARY


@pytest.mark.parametrize(
    "text",
    [str(SECRET), repr(SECRET), f"{SECRET}", f"{SECRET!r}", "%s" % SECRET, "{}".format(SECRET)],  # noqa: UP031, UP032
    ids=["str", "repr", "f-string", "f-string of the repr", "percent", "format"],
)
def test_texts_show_asterisks(text: str) -> None:
    assert text == "***"


@pytest.mark.parametrize("shown", [[SECRET], {"a": SECRET}, (SECRET,), ValueError(SECRET)])
def test_containers_show_asterisks(shown: object) -> None:
    assert "***" in repr(shown)
    assert CANARY not in f"{shown} {shown!r}"


def test_a_format_specification_does_not_bring_it_out() -> None:
    with pytest.raises(TypeError) as caught:
        f"{SECRET:>20}"

    assert CANARY not in str(caught.value)


def test_a_configuration_shows_asterisks() -> None:
    config = Config(token=SECRET)

    assert repr(config) == "Config(token=***, number=1)"
    assert CANARY not in f"{config} {config.model_dump()} {config.model_dump_json()}"


def test_json_by_way_of_str_shows_asterisks() -> None:
    assert json.dumps({"token": SECRET}, default=str) == '{"token": "***"}'


@pytest.mark.parametrize("template", ["%s", "%r"])
def test_logs_show_asterisks(template: str, caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("test").warning(template, SECRET)

    assert caplog.messages == ["***"]


@pytest.mark.parametrize("copied", [pickle.loads(pickle.dumps(SECRET)), copy.deepcopy(SECRET)])
def test_a_secret_that_travelled_to_a_worker_still_works_and_still_hides(copied: SecretText) -> None:
    assert copied.get_secret_value() == CANARY
    assert (repr(copied), copied) == ("***", SECRET)


def test_a_configuration_with_a_secret_travels() -> None:
    config = Config(token=SECRET)

    assert pickle.loads(pickle.dumps(config)) == config


def test_different_secrets_differ() -> None:
    assert SecretText("a") == SecretText("a")
    assert SecretText("a") != SecretText("b")


def test_a_literal_is_refused_with_the_remedy() -> None:
    with pytest.raises(ValidationError, match=r"use \$\{conn\.ID\.password\}, \$\{env\.NAME\}") as caught:
        Config.model_validate({"token": CANARY})

    assert CANARY not in f"{caught.value} {caught.value!r}"


@pytest.mark.parametrize("context", [None, {}, {"resolved": False}, "resolved", True])
def test_only_resolved_pipelines_may_hold_texts(context: object) -> None:
    with pytest.raises(ValidationError, match="a secret is not written into the pipeline"):
        Config.model_validate({"token": CANARY}, context=context)


def test_a_resolved_pipeline_is_accepted_down_to_its_last_block() -> None:
    pipeline = Pipeline.model_validate({"parts": [{"token": CANARY}]}, context=RESOLVED)

    assert pipeline.parts[0].token == SECRET
    assert CANARY not in repr(pipeline)


@pytest.mark.parametrize("value", [7, None, True, ["canary-7"], {"a": "canary-7"}, b"canary-7"])
def test_what_is_no_text_is_refused_even_when_resolved(value: object) -> None:
    with pytest.raises(ValidationError) as caught:
        Config.model_validate({"token": value}, context=RESOLVED)

    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    "mistake", [{"number": 0}, {"number": CANARY}, {"tokn": CANARY}, {"token": CANARY, "x": 1}, {"x": CANARY}]
)
@pytest.mark.parametrize("context", [None, RESOLVED])
def test_complaints_about_its_neighbours_do_not_show_it(
    mistake: dict[str, object], context: dict[str, bool] | None
) -> None:
    with pytest.raises(ValidationError) as caught:
        Pipeline.model_validate({"parts": [{"token": CANARY, **mistake}]}, context=context)

    assert CANARY not in f"{caught.value} {caught.value!r}"
