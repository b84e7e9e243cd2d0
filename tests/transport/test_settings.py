"""What may stand in a configuration, and what is said about the rest."""

from __future__ import annotations

import pytest
from pydantic import Field, TypeAdapter, ValidationError

from http_enrich_transport import AiohttpEngineConfig, Count, Seconds, Settings, TcpConnectionConfig

SECONDS: TypeAdapter[float] = TypeAdapter(Seconds)
COUNT: TypeAdapter[int] = TypeAdapter(Count)


class Inner(Settings):
    colour: str = "red"


class Outer(Settings):
    number: Count
    json_: str | None = Field(default=None, alias="json")
    inner: Inner = Inner()
    many: list[Inner] = []


def complaint(value: object) -> str:
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate(value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        *((0, 0), (1.5, 1.5), ("2", 2), ("0.5", 0.5)),
        *(("250ms", 0.25), ("5s", 5), ("1.5s", 1.5), ("10m", 600), ("1h", 3600), ("2d", 172800), (" 5s ", 5)),
    ],
)
def test_durations(written: object, seconds: float) -> None:
    assert SECONDS.validate_python(written) == seconds


@pytest.mark.parametrize(
    "written",
    [
        *(-1, "-1", "-5s", True, False, None, [], float("nan"), float("inf"), "nan", "inf"),
        *("", "s", "5 s", "5S", "5sec", "1m30s", "1,5s", ".5s", "5.s", "5s5", "soon"),
    ],
)
def test_what_is_no_duration(written: object) -> None:
    with pytest.raises(ValidationError):
        SECONDS.validate_python(written)


@pytest.mark.parametrize(("written", "number"), [(1, 1), (10_000, 10_000), ("7", 7)])
def test_counts(written: object, number: int) -> None:
    assert COUNT.validate_python(written) == number


@pytest.mark.parametrize("written", [0, -1, 1.5, True, False, None, "", "many", "1.5", float("inf")])
def test_what_is_no_count(written: object) -> None:
    with pytest.raises(ValidationError):
        COUNT.validate_python(written)


def test_true_is_not_one() -> None:
    """YAML reads `yes` and `on` as true."""
    assert "expected a number, not true or false" in complaint({"number": True})


def test_a_near_miss_gets_a_hint() -> None:
    assert "unknown key 'numbr'; did you mean 'number'?" in complaint({"number": 1, "numbr": 2})


def test_anything_else_gets_the_list_of_keys_as_they_are_written() -> None:
    assert "unknown key 'x'; known here: inner, json, many, number" in complaint({"number": 1, "x": 2})


@pytest.mark.parametrize(
    ("value", "place"),
    [({"inner": {"color": "b"}}, "inner.color"), ({"many": [{"color": "b"}]}, "many.0.color")],
)
def test_hints_reach_into_nested_blocks(value: dict[str, object], place: str) -> None:
    text = complaint({"number": 1, **value})

    assert place in text.splitlines()
    assert "unknown key 'color'; did you mean 'colour'?" in text


def test_all_mistakes_are_told_at_once() -> None:
    text = complaint({"inner": {"color": "blue"}, "x": 1})

    assert text.startswith("3 validation errors for Outer\n")
    assert "number\n  this key is missing" in text


@pytest.mark.parametrize("key", ["{number}", "{", "{0}", "%s", "${env.X}"])
def test_keys_are_quoted_as_they_are(key: str) -> None:
    assert f"unknown key {key!r}; " in complaint({"number": 1, key: 1})


def test_complaints_do_not_quote_values() -> None:
    """A value in the wrong place may be a password."""
    text = complaint({"number": "canary", "x": "canary", "inner": {"colour": ["canary"]}, "json": ["canary"]})

    assert "canary" not in text


def test_settings_do_not_change() -> None:
    inner = Inner()

    with pytest.raises(ValidationError, match="frozen"):
        inner.colour = "blue"


def test_defaults_of_the_aiohttp_engine() -> None:
    config = AiohttpEngineConfig()

    assert (config.base_timeout, config.warmup_timeout, config.concurrency) == (30, 10, 10)


def test_as_many_requests_at_a_time_as_connections() -> None:
    assert AiohttpEngineConfig(tcp_connection=TcpConnectionConfig(limit=3)).concurrency == 3


@pytest.mark.parametrize(
    "options",
    [{"base_timeout": 0}, {"base_timeout": -1}, {"warmup_timeout": -1}, {"tcp_connection": {"limit": 0}}],
)
def test_an_attempt_needs_time_and_a_connection(options: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=next(iter(options))):
        AiohttpEngineConfig.model_validate(options)


def test_warm_up_can_be_turned_off() -> None:
    assert AiohttpEngineConfig(warmup_timeout=0).warmup_timeout == 0
