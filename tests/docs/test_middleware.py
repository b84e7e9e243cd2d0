"""The middleware that docs/middleware.md builds works like those that ship."""

from __future__ import annotations

import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from http_enrich_middleware import (
    DeferredConfig,
    UnknownMiddlewareError,
    build_chain,
    parse_middleware,
)
from http_enrich_middleware.traffic import retry
from http_enrich_spark.config import PipelineError, check_pipeline, load_pipeline
from tests.docs.conftest import BUILT
from tests.docs.test_blocks import REST, ROOT
from tests.support.chain import FakeTime, answer, answering, row, send_over_http
from tests.support.peer import OK, serving

PAGE = BUILT["acme_steps"].read_text()
PATH = "acme_steps:Tenant"


def sample() -> str:
    return str(re.findall(r"^```python\n(.*?)^```", PAGE, re.M | re.S)[0])


def test_it_takes_twenty_lines() -> None:
    lines = [line for line in sample().splitlines() if line.strip() and not line.startswith("from ")]

    assert len(lines) <= 20


def test_its_own_test_passes(installed: Path, tmp_path: Path) -> None:
    file = tmp_path / "test_tenant.py"
    file.write_text(re.findall(r"^```python\n(.*?)^```", PAGE, re.M | re.S)[1])
    command = [sys.executable, "-m", "pytest", "-q", str(file), "-c", str(ROOT / "pyproject.toml")]

    result = subprocess.run(
        command, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(installed)}
    )

    assert "1 passed" in result.stdout


@pytest.mark.parametrize("name", ["tenant", PATH])
def test_a_pipeline_names_it_by_its_entry_point_or_path(name: str) -> None:
    entry = {"type": name, "tenant": "north"}
    (config,) = load_pipeline({**REST, "middleware": [entry]}, environ={}).middleware

    assert (type(config).__name__, config.type) == ("TenantConfig", PATH)
    assert pickle.loads(pickle.dumps(config)) == config


@pytest.mark.parametrize("name", ["tenant", PATH])
def test_its_options_are_checked_like_all_others(name: str) -> None:
    text = f"{_rest()}middleware:\n  - type: {name}\n    tennant: north\n"

    with pytest.raises(PipelineError) as caught:
        check_pipeline(text)

    line = text.splitlines().index("    tennant: north") + 1
    assert f":{line}:5: middleware[0].tennant: unknown key 'tennant'; did you mean 'tenant'?" in str(
        caught.value
    )


def _rest() -> str:
    return yaml.safe_dump(REST)


async def test_it_is_sent_over_http_with_each_attempt() -> None:
    config = parse_middleware({"type": PATH, "tenant": "north"})
    async with serving(OK.replace(b"200", b"202")) as server:
        again = retry.Config(max_attempts=2)
        exchange = await send_over_http([again, config], row(url=server.url), FakeTime().runtime)

    assert [b"\r\nX-Tenant: north\r\n" in head for head in server.heads] == [True, True]
    assert (exchange.error_kind, exchange.attempts) == ("not_ready", 2)


def test_a_package_that_is_only_on_the_workers_is_taken_on_trust() -> None:
    """An Airflow scheduler has not everything that a Spark cluster has."""
    entry = {"type": "not_here_acme.steps:Tenant", "tenant": "north"}
    (config,) = load_pipeline({**REST, "middleware": [entry]}, environ={}).middleware

    assert config == DeferredConfig(type=str(entry["type"]), options={"tenant": "north"})
    with pytest.raises(UnknownMiddlewareError, match=r"No module named 'not_here_acme'.*on the executors"):
        build_chain([config], answering(answer(200)))


async def test_what_was_taken_on_trust_is_checked_where_it_is_used() -> None:
    good = DeferredConfig(type=PATH, options={"tenant": "north"})
    engine = answering(answer(200))
    await build_chain([good], engine)(row())

    assert engine.requests[0].headers["X-Tenant"] == "north"
    with pytest.raises(ValueError, match="did you mean 'tenant'"):
        build_chain([DeferredConfig(type=PATH, options={"tennant": "north"})], engine)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("acme_steps:Tenants", "has no attribute 'Tenants'"),
        ("acme_steps:TenantConfig", "no class with a Config derived from MiddlewareConfig"),
        ("acme_steps:RequestExchange", "no class with a Config derived from MiddlewareConfig"),
        ("http_enrich_middleware.nothing:X", "No module named 'http_enrich_middleware.nothing'"),
        ("tenants", "did you mean 'tenant'"),
        ("acme_steps", "package.module:Class for one of your own"),
        ("acme_steps:", "'acme_steps:'"),
        (":Tenant", "':Tenant'"),
    ],
)
def test_a_typo_is_found_while_the_file_is_checked(name: str, reason: str) -> None:
    with pytest.raises(PipelineError, match=re.escape(reason)):
        check_pipeline({**REST, "middleware": [{"type": name, "tenant": "north"}]})
