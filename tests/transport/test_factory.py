"""How a configuration finds its engine, and what that imports."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys

import pytest

from http_enrich_transport import (
    AiohttpEngineConfig,
    MemoryEngine,
    MemoryEngineConfig,
    TransportConfig,
    TransportEngineFactory,
    TransportEngineType,
    TransportRuntimeFactory,
    UnknownEngineError,
    parse_transport,
)
from http_enrich_transport.aiohttp_engine import AiohttpEngine

HEAVY = ("aiohttp", "airflow", "numpy", "pandas", "pyarrow", "pyspark")


def loaded_by(code: str) -> set[str]:
    """Return the heavy packages that a fresh process has loaded after running *code*."""
    report = f"{code}\nimport sys\nprint(*(set(sys.modules) & {set(HEAVY)!r}))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", report], env=environment, capture_output=True, check=True)
    return set(done.stdout.decode().split())


@pytest.mark.parametrize("name", [None, *TransportEngineType])
def test_a_block_without_an_engine_is_for_aiohttp(name: str | None) -> None:
    block = {"handler": "a:b"} if name == "memory" else {}

    config = parse_transport({**block, **({"engine": str(name)} if name else {})})

    assert config.engine == (name or "aiohttp")


@pytest.mark.parametrize("name", ["requests", "", "Aiohttp", None, 5, ["aiohttp"], {}])
def test_an_unknown_engine_lists_those_there_are(name: object) -> None:
    with pytest.raises(ValueError, match=r"no transport engine .*; there are: aiohttp, memory"):
        parse_transport({"engine": name})


def test_building_an_unknown_engine_lists_those_there_are() -> None:
    factory = TransportRuntimeFactory(TransportConfig(engine="requests"))

    with pytest.raises(
        UnknownEngineError, match="no transport engine 'requests'; there are: aiohttp, memory"
    ):
        factory.create()


@pytest.mark.parametrize(
    ("config", "engine"),
    [
        (AiohttpEngineConfig(), AiohttpEngine),
        (MemoryEngineConfig(handler="tests.support.chain:echo"), MemoryEngine),
    ],
)
def test_a_configuration_builds_its_engine(config: TransportConfig, engine: type) -> None:
    assert type(TransportRuntimeFactory(config).create()) is engine
    assert TransportEngineFactory.get(config.engine) is engine


def test_a_configuration_is_taken_as_it_is() -> None:
    config = AiohttpEngineConfig(base_timeout=7)

    assert parse_transport(config) is config


@pytest.mark.parametrize("block", [None, [], "aiohttp", 5])
def test_what_is_no_block_is_refused(block: object) -> None:
    with pytest.raises(ValueError, match="valid dictionary"):
        parse_transport(block)


@pytest.mark.parametrize(
    ("block", "complaint"),
    [
        ({"engine": "memory"}, "handler\n  this key is missing"),
        ({"base_timout": 5}, "did you mean 'base_timeout'"),
        ({"engine": "memory", "handler": "a:b", "tcp_connection": {}}, "unknown key 'tcp_connection'"),
        (
            {"tcp_connection": {"limits": 5}},
            "tcp_connection.limits\n  unknown key 'limits'; did you mean 'limit'",
        ),
    ],
)
def test_options_are_those_of_the_engine(block: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        parse_transport(block)


def test_the_factory_travels_to_the_workers() -> None:
    factory = TransportRuntimeFactory(AiohttpEngineConfig(base_timeout=7), base_url="http://api.test/")

    arrived = pickle.loads(pickle.dumps(factory))

    assert (arrived.config, arrived.base_url) == (factory.config, factory.base_url)
    assert isinstance(arrived.create(), AiohttpEngine)


@pytest.mark.parametrize(
    "code",
    [
        "import http_enrich_transport",
        "import http_enrich_middleware",
        "from http_enrich_transport import parse_transport; parse_transport({'engine': 'aiohttp'})",
        "from http_enrich_middleware import parse_middleware; parse_middleware({'type': 'retry'})",
    ],
)
def test_reading_a_configuration_loads_nothing_heavy(code: str) -> None:
    """Airflow imports DAG files over and over."""
    assert loaded_by(code) == set()


def test_building_an_engine_loads_its_library() -> None:
    code = "from http_enrich_transport import *; TransportRuntimeFactory(AiohttpEngineConfig()).create()"

    assert loaded_by(code) == {"aiohttp"}
