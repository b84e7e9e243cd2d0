"""Entries of the `middleware:` list and what they may say."""

from __future__ import annotations

import ast
import pickle
from pathlib import Path

import pytest

import http_enrich_middleware
from http_enrich_middleware import RequestExchange, build_chain, parse_middleware, with_defaults
from http_enrich_middleware.observe import timing, transport_diagnostic
from http_enrich_middleware.traffic import retry
from http_enrich_transport import SecretText
from tests.support.chain import FakeTime, answer, answering, row

ENTRIES: list[dict[str, object]] = [
    {"type": "adaptive_concurrency", "latency_tolerance": None},
    {"type": "api_key", "key": SecretText("canary-7"), "query": "key"},
    {
        **{"type": "aws_sigv4", "region": "eu-west-1", "service": "lambda"},
        **{"access_key_id": "AKIDEXAMPLE", "secret_access_key": SecretText("canary-7")},
    },
    {"type": "basic", "username": "me", "password": SecretText("canary-7")},
    {"type": "hmac", "secret": SecretText("canary-7"), "parts": ["method", "path", "body"]},
    {"type": "bearer", "token": SecretText("canary-7")},
    {"type": "cache", "ttl": "1h"},
    {"type": "jwt_bearer", "algorithm": "HS256", "secret": SecretText("canary-7-of-some-length")},
    {
        "type": "oauth2_client_credentials",
        "token_url": "https://login.test/token",
        "client_id": "me",
        "client_secret": SecretText("canary-7"),
    },
    {
        "type": "oauth2_password",
        "token_url": "https://login.test/token",
        "username": "me",
        "password": SecretText("canary-7"),
    },
    {
        "type": "oauth2_refresh_token",
        "token_url": "https://login.test/token",
        "refresh_token": SecretText("canary-7"),
    },
    {"type": "circuit_breaker", "max_open": "1h"},
    {"type": "dedupe"},
    {"type": "idempotency_key", "format": "uuid"},
    {"type": "json_body"},
    {"type": "logging", "sample": 0.5},
    {"type": "metrics", "opentelemetry": True},
    {"type": "rate_limit", "max_requests_per_second": 100},
    {"type": "redirect", "allow_origins": ["https://files.example.com"]},
    {"type": "response_rules", "rules": [{"status": "4xx", "when": "code", "action": "ignore"}]},
    {"type": "retry", "max_attempts": 5, "base_delay": "250ms"},
    {"type": "timing"},
    {"type": "transport_diagnostic"},
    {"type": "worker_identity"},
]
TYPES = [str(entry["type"]) for entry in ENTRIES]


def _row() -> RequestExchange:
    exchange = row()
    exchange.row_id = ("BIRK",)
    return exchange


@pytest.mark.parametrize("entry", ENTRIES, ids=TYPES)
async def test_every_type_is_parsed_built_and_passes_the_answer_on(entry: dict[str, object]) -> None:
    config = parse_middleware(entry)

    exchange = await build_chain(
        [config], answering(answer(200, b'{"access_token": "a"}')), FakeTime().runtime
    )(_row())

    assert config.type == entry["type"]
    assert (exchange.error_kind, exchange.attempts) == (None, 1)


@pytest.mark.parametrize("entry", ENTRIES, ids=TYPES)
def test_configurations_travel_to_the_workers(entry: dict[str, object]) -> None:
    config = parse_middleware(entry)

    assert pickle.loads(pickle.dumps(config)) == config


@pytest.mark.parametrize("entry", ENTRIES, ids=TYPES)
def test_an_option_that_there_is_not_is_an_error(entry: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="unknown key 'no_such_option'"):
        parse_middleware({**entry, "no_such_option": 1})


def test_durations_are_read_with_their_unit() -> None:
    config = parse_middleware({"type": "retry", "base_delay": "250ms", "max_delay": "1m"})

    assert config == retry.Config(base_delay=0.25, max_delay=60)


def test_a_mistyped_option_comes_with_a_hint() -> None:
    with pytest.raises(ValueError, match=r"unknown key 'max_attempt'; did you mean 'max_attempts'\?"):
        parse_middleware({"type": "retry", "max_attempt": 2})


def test_a_mistyped_type_comes_with_a_hint_and_the_list() -> None:
    with pytest.raises(ValueError, match=r"'retries'; did you mean 'retry'\?") as caught:
        parse_middleware({"type": "retries"})

    assert all(name in str(caught.value) for name in TYPES)


@pytest.mark.parametrize("name", ["os", "_chain", "", "retry.Config", "../retry", "Retry"])
def test_only_what_ships_can_be_named(name: str) -> None:
    with pytest.raises(ValueError, match=r"[Tt]here are: adaptive_concurrency, api_key, "):
        parse_middleware({"type": name})


@pytest.mark.parametrize("entry", ["retry", None, [], {}, {"max_attempts": 3}, {"type": 5}, {"type": None}])
def test_an_entry_without_a_type_is_an_error(entry: object) -> None:
    with pytest.raises(ValueError, match="expected an entry such as '- type: retry'"):
        parse_middleware(entry)


def test_a_configuration_is_taken_as_it_is() -> None:
    config = retry.Config(max_attempts=7)

    assert parse_middleware(config) is config


def test_the_diagnostic_is_always_on_and_outermost() -> None:
    listed = [retry.Config(), timing.Config()]

    assert [config.type for config in with_defaults(listed)] == ["transport_diagnostic", "retry", "timing"]
    assert [config.type for config in listed] == ["retry", "timing"]


def test_listing_the_diagnostic_moves_it_and_does_not_double_it() -> None:
    listed = [retry.Config(), transport_diagnostic.Config(), timing.Config()]

    assert with_defaults(listed) == listed


def test_defaults_are_put_in_once() -> None:
    once = with_defaults([])

    assert with_defaults(once) == once == [transport_diagnostic.Config()]


def _imports(file: Path) -> set[str]:
    """Return the dotted names that *file* imports, as absolute ones."""
    package = f"http_enrich_middleware.{file.parent.name}"
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            above = package.rsplit(".", node.level - 1)[0] if node.level else ""
            module = ".".join(filter(None, [above, node.module]))
            found |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
    return found


def test_no_middleware_imports_another_one() -> None:
    """What two of them share stands in a module of its own, so that each can be read alone."""
    root = Path(http_enrich_middleware.__file__).parent
    files = {file for file in root.glob("*/*.py") if not file.name.startswith("_")}
    names = {f"http_enrich_middleware.{file.parent.name}.{file.stem}" for file in files}

    assert {name.rsplit(".", 1)[1] for name in names} == set(TYPES)
    assert {file.stem: _imports(file) & names for file in files} == {file.stem: set() for file in files}
