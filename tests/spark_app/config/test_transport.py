"""The transport's part of a pipeline: what it refuses, and which of its values are secret."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from http_enrich_spark.config import PipelineError, check_pipeline, load_pipeline
from http_enrich_spark.config._secrets import secret_texts
from http_enrich_transport import AiohttpEngineConfig, PyreqwestEngineConfig, SecretText
from tests.support.pipelines import pipeline

KEY = "-----BEGIN PRIVATE KEY-----\ncanary\n-----END PRIVATE KEY-----"
CONNECTION = {"AIRFLOW_CONN_PROXY": '{"login": "canary-login", "password": "canary-password"}'}


def refused(**transport: Any) -> str:
    with pytest.raises(PipelineError) as caught:
        check_pipeline(pipeline({"transport": transport}))
    return str(caught.value)


@pytest.mark.parametrize("engine", ["aiohttp", "pyreqwest"])
def test_every_option_has_a_default(engine: str) -> None:
    config = load_pipeline(pipeline({"transport": {"engine": engine}}), environ={}).transport

    assert isinstance(config, AiohttpEngineConfig | PyreqwestEngineConfig)
    assert (config.base_timeout, config.connect_timeout, config.read_timeout) == (30, 10, None)
    assert (config.max_response_bytes, config.tls.verify, config.proxy) == (10 * 1024 * 1024, True, None)


def test_sizes_and_durations_may_have_units() -> None:
    transport = {
        "max_response_bytes": "512KiB",
        "connect_timeout": "2s",
        "tcp_connection": {"keepalive_timeout": "1m"},
    }

    config = load_pipeline(pipeline({"transport": transport}), environ={}).transport

    assert isinstance(config, AiohttpEngineConfig)
    assert (config.max_response_bytes, config.connect_timeout) == (512 * 1024, 2)
    assert config.tcp_connection.keepalive_timeout == 60


@pytest.mark.parametrize("version", [1.2, "1.2", "TLSv1.2"])
def test_a_version_may_look_like_a_number(version: object) -> None:
    config = load_pipeline(pipeline({"transport": {"tls": {"min_version": version}}}), environ={}).transport

    assert isinstance(config, AiohttpEngineConfig)
    assert config.tls.min_version == "1.2"


@pytest.mark.parametrize(
    ("transport", "said"),
    [
        ({"conect_timeout": 5}, "unknown key 'conect_timeout'; did you mean 'connect_timeout'?"),
        ({"connect_timeout": 0}, "connect_timeout: Input should be greater than 0"),
        ({"max_response_bytes": 0}, "max_response_bytes: Input should be greater"),
        ({"max_response_bytes": "ten"}, "could not parse value and unit"),
        ({"tcp_connection": {"limit": 5, "limit_per_host": 6}}, "limit_per_host is 6, but limit allows 5"),
        ({"tcp_connection": {"force_close": True, "keepalive_timeout": 5}}, "keeps no connection"),
        ({"tcp_connection": {"family": "ipv5"}}, "family: Input should be 'any', 'ipv4'"),
        ({"engine": "pyreqwest", "tcp_connection": {"family": "ipv4"}}, "unknown key 'family'"),
        ({"tls": {"min_version": "1.1"}}, "min_version: Input should be '1.2' or '1.3'"),
        ({"tls": {"client_key": "key.pem"}}, "client_key needs client_cert"),
        ({"tls": {"verify": False, "ca_bundle": "ca.pem"}}, "ca_bundle is of no use when verify is false"),
        ({"tls": {"client_cert": "c.pem", "client_key": KEY}}, "a key is not written into the pipeline"),
        ({"tls": {"ca_bundle": 5}}, "expected the path of a PEM file"),
        ({"proxy": {"url": "proxy:3128"}}, "expected an address such as http://proxy.example.com:3128"),
        ({"proxy": {"url": "socks5://proxy"}}, "expected an address such as"),
        ({"proxy": {"url": "http://canary:canary@proxy"}}, "use proxy.username and proxy.password"),
        ({"proxy": {"url": "http://proxy", "password": "canary"}}, "a secret is not written"),
        ({"proxy": {"url": "http://proxy", "password": "${conn.proxy.password}"}}, "both username"),
        ({"egress": {"allow": ["10.0.0.0/33"]}}, "'10.0.0.0/33' is no address, network"),
        ({"egress": {"allow": ["http://a"]}}, "'http://a' is no address, network"),
        ({"warmup": {"method": "POST"}}, "method: Input should be 'HEAD'"),
        ({"warmup": {"path": "health"}}, "transport.warmup.path"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused(transport: dict[str, Any], said: str) -> None:
    message = refused(**transport)

    assert said in message
    assert "canary" not in message


def test_credentials_come_out_of_a_connection(tmp_path: Path) -> None:
    (tmp_path / "client.pem").write_text(KEY)
    pem = f"${{file.{tmp_path / 'client.pem'}}}"
    proxy = {
        "url": "http://proxy:3128",
        "username": "${conn.proxy.login}",
        "password": "${conn.proxy.password}",
    }
    transport = {"proxy": proxy, "tls": {"client_cert": pem, "client_key": pem, "ca_bundle": "/etc/ca.pem"}}

    config = load_pipeline(pipeline({"transport": transport}), environ=CONNECTION)

    network = config.transport
    assert isinstance(network, AiohttpEngineConfig)
    assert isinstance(network.tls.client_key, SecretText)
    assert network.tls.client_key.get_secret_value() == KEY
    assert network.tls.ca_bundle == "/etc/ca.pem"
    assert set(secret_texts(config)) >= {KEY, "canary-login", "canary-password"}
    assert "canary" not in repr(config) + str(config) + f"{config!s}"


def test_a_framing_header_is_refused_with_the_pipeline() -> None:
    with pytest.raises(PipelineError, match="'Transfer-Encoding' is written by the HTTP engine"):
        check_pipeline(pipeline({"endpoint.headers": {"Transfer-Encoding": "chunked"}}))
