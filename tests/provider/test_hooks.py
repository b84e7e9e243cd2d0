"""What 'Test connection' says, with real servers on loopback."""

from __future__ import annotations

import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from airflow.models import Connection

from http_enrich_provider.hooks import HttpEnrichHook
from tests.support.peer import closed_port
from tests.support.tls import Authority
from tests.support.web import web_server

SECRET = "canary+secret/1"


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that tests a connection with the fields it is given."""

    def test(host: str | None, extra: dict[str, Any] | None = None, **fields: Any) -> tuple[bool, str]:
        connection = {"conn_type": "http_enrich", "host": host, "extra": extra or {}} | fields
        monkeypatch.setenv("AIRFLOW_CONN_API", json.dumps(connection))
        return HttpEnrichHook("api").test_connection()

    return test


def status(code: int) -> Any:
    return lambda _: web.Response(status=code, text=f"{SECRET} is what I was sent")


@pytest.mark.filterwarnings("ignore:ProvidersManager.hooks is deprecated")
def test_airflow_finds_the_hook_by_the_type() -> None:
    connection = Connection(conn_id="api", conn_type="http_enrich", host="https://api.example.com")

    assert isinstance(connection.get_hook(), HttpEnrichHook)  # type: ignore[no-untyped-call]


@pytest.mark.parametrize(
    ("code", "good"),
    [
        (200, True),
        (404, True),
        (302, True),
        (401, False),
        (403, False),
        (407, False),
        (500, False),
        (503, False),
    ],
)
def test_answer_is_good_unless_it_refuses_us_or_breaks(connect: Any, code: int, good: bool) -> None:
    with web_server(status(code)) as server:
        found, message = connect(server.url)

    assert found is good
    assert str(code) in message
    assert SECRET not in message
    assert server.paths == ["/"]


@pytest.mark.parametrize(
    ("extra", "fields", "header", "value"),
    [
        ({"auth": "bearer"}, {}, "Authorization", f"Bearer {SECRET}"),
        ({"auth": "api_key"}, {}, "X-Api-Key", SECRET),
        ({"auth": "api_key", "header": "X-Mine"}, {}, "X-Mine", SECRET),
        (
            {"auth": "basic"},
            {"login": "me"},
            "Authorization",
            f"Basic {b64encode(f'me:{SECRET}'.encode()).decode()}",
        ),
    ],
)
def test_credentials_are_sent_as_the_form_says(
    connect: Any, extra: dict[str, str], fields: dict[str, str], header: str, value: str
) -> None:
    with web_server(status(200)) as server:
        connect(server.url, extra, password=SECRET, **fields)

    assert server.headers[0][header] == value


def test_without_authentication_no_credentials_are_sent(connect: Any) -> None:
    with web_server(status(200)) as server:
        connect(server.url, password=SECRET)

    assert SECRET not in json.dumps(server.headers)


@pytest.mark.parametrize(
    "host", [None, "api.example.com", "ftp://api.example.com", f"https://me:{SECRET}@:x"]
)
def test_what_is_no_address_is_told_with_the_remedy(connect: Any, host: str | None) -> None:
    found, message = connect(host)

    assert not found
    assert "write it like https://api.example.com" in message
    assert SECRET not in message


def test_api_that_is_down_is_told_by_the_kind_of_failure(connect: Any) -> None:
    found, message = connect(f"http://127.0.0.1:{closed_port()}")

    assert not found
    assert message.startswith("connect_refused: ")


@pytest.mark.parametrize(
    ("extra", "fields", "message"),
    [
        ({"auth": "bearer"}, {}, "needs the field 'Password, token or key'"),
        ({"auth": "magic"}, {}, "choose one of none, basic, bearer, api_key"),
        ({"auth": "basic"}, {"password": SECRET}, "username"),
        ({"auth": "bearer"}, {"password": f"{SECRET}\nX: y"}, "a header cannot carry"),
        ({"client_key": "key.pem"}, {}, "client_key needs client_cert"),
        ({"ca_bundle": "/nowhere/ca.pem"}, {}, "/nowhere/ca.pem"),
    ],
)
def test_fields_that_do_not_go_together_are_told(
    connect: Any, extra: dict[str, str], fields: dict[str, str], message: str
) -> None:
    with web_server(status(200)) as server:
        found, said = connect(server.url.replace("http:", "https:"), extra, **fields)

    assert not found
    assert message in said
    assert SECRET not in said
    assert server.paths == []


def test_certificate_is_checked_unless_the_form_says_otherwise(connect: Any, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with web_server(status(200), authority.server()) as server:
        strange, message = connect(server.url)
        trusted, _ = connect(server.url, {"ca_bundle": str(authority.path)})
        unchecked, _ = connect(server.url, {"verify": False})

    assert (strange, trusted, unchecked) == (False, True, True)
    assert message.startswith("tls_verify: ")


def test_own_certificate_is_shown(connect: Any, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    tls = {"ca_bundle": str(authority.path), "client_cert": str(authority.identity())}
    with web_server(status(200), authority.server(client_certs=True)) as server:
        good, _ = connect(server.url, tls)
        bad, _ = connect(server.url, {"ca_bundle": tls["ca_bundle"]})

    assert (good, bad) == (True, False)


def test_endless_answer_and_metadata_services_are_kept_out(connect: Any) -> None:
    with web_server(lambda _: web.Response(body=b"x" * 3_000_000)) as server:
        long, _ = connect(server.url)
    metadata, message = connect("http://169.254.169.254/latest")

    assert long
    assert not metadata
    assert message.startswith("egress_blocked: ")
