"""TLS: rows T1 to T6 of the fault matrix, and what `transport.tls` changes."""

from __future__ import annotations

import pickle
import ssl
import warnings
from pathlib import Path

import pytest

from http_enrich_transport import RESOLVED, TlsConfig
from tests.support.faults import Outcome, attempt, outcome
from tests.support.peer import OK, Peer, greeting, hang_up, reset, sending, serving, silent
from tests.support.tls import Authority, self_signed, threaded_tls

ALERT = b"\x15\x03\x01\x00\x02\x02"  # a record of TLS 1.0 with two bytes: fatal, and what is the matter


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.mark.parametrize(
    ("host", "days", "trusted", "reason"),
    [
        pytest.param("127.0.0.1", -1.0, True, "certificate has expired", id="T1-expired"),
        pytest.param("127.0.0.2", 1.0, True, "IP address mismatch", id="T1-wrong-host"),
        pytest.param("127.0.0.1", 1.0, False, "unable to get local issuer certificate", id="T1-untrusted"),
    ],
)
async def test_a_certificate_that_proves_nothing(
    authority: Authority, host: str, days: float, trusted: bool, reason: str
) -> None:
    tls = {"ca_bundle": authority.pem} if trusted else {}
    async with serving(OK, tls=authority.server(host, days=days)) as server:
        response = await attempt(server.url, method="POST", tls=tls)

    assert (outcome(response), server.requests) == (("tls_verify", "not_sent", None), 0)
    assert response.error is not None
    assert reason in response.error.message


async def test_a_certificate_that_vouches_for_itself(tmp_path: Path) -> None:
    """T1"""
    async with serving(OK, tls=self_signed(tmp_path)) as server:
        response = await attempt(server.url)

    assert (outcome(response), server.requests) == (("tls_verify", "not_sent", None), 0)


async def test_a_peer_that_knows_old_versions_only(authority: Authority) -> None:
    """T2"""
    old = authority.server()
    old.set_ciphers("DEFAULT:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    with threaded_tls(old, OK) as server:
        response = await attempt(server.url, tls={"ca_bundle": authority.pem})

    assert (outcome(response), server.count) == (("tls_protocol", "not_sent", None), 0)


async def test_a_version_older_than_configured_is_not_spoken(authority: Authority) -> None:
    """T2"""
    older = authority.server()
    older.maximum_version = ssl.TLSVersion.TLSv1_2
    with threaded_tls(older, OK) as server:
        tls = {"ca_bundle": authority.pem}
        refused = await attempt(server.url, tls={**tls, "min_version": "1.3"})
        spoken = await attempt(server.url, tls={**tls, "min_version": "1.2"})

    assert outcome(refused) == ("tls_protocol", "not_sent", None)
    assert outcome(spoken) == (None, "responded", 200)


@pytest.mark.parametrize(
    ("peer", "expected"),
    [
        pytest.param(silent, ("connect_timeout", "not_sent", None), id="T3-stall"),
        pytest.param(hang_up, ("tls_handshake", "not_sent", None), id="T4-close"),
        pytest.param(reset, ("tls_handshake", "not_sent", None), id="T4-reset"),
        pytest.param(
            sending(b"\x16\x03\x03\x00\x04abcd", then=silent),
            ("tls_handshake", "not_sent", None),
            id="T4-junk",
        ),
        pytest.param(sending(ALERT + b"\x46"), ("tls_protocol", "not_sent", None), id="T2-alert"),
        pytest.param(sending(ALERT + b"\x28"), ("tls_handshake", "not_sent", None), id="T4-alert"),
        pytest.param(
            sending(b"HTTP/1.1 400 Bad Request\r\n\r\n", then=silent),
            ("tls_handshake", "not_sent", None),
            id="T6-plain-port-answers",
        ),
        pytest.param(
            sending(b"", then=silent), ("connect_timeout", "not_sent", None), id="T6-plain-port-waits"
        ),
    ],
)
async def test_a_handshake_that_fails(peer: Peer, expected: Outcome) -> None:
    async with greeting(peer) as server:
        response = await attempt(server.url, method="POST", connect_timeout=1)

    assert (outcome(response), server.connections) == (expected, 1)


async def test_plain_http_to_a_port_for_tls(authority: Authority) -> None:
    """T6"""
    async with serving(OK, tls=authority.server()) as server:
        response = await attempt(server.url.replace("https", "http"), method="POST")

    assert (outcome(response), server.requests) == (("disconnected", "maybe_sent", None), 0)


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        # The alert of TLS 1.2 is "handshake failure", which may mean anything.
        pytest.param(ssl.TLSVersion.TLSv1_2, ("tls_handshake", "not_sent", None), id="T5-TLSv1.2"),
        # That of TLS 1.3 is exact, but comes after the handshake, when the request may be on its way.
        pytest.param(ssl.TLSVersion.TLSv1_3, ("tls_client_cert", "maybe_sent", None), id="T5-TLSv1.3"),
    ],
)
async def test_a_peer_that_wants_a_certificate_of_ours(
    authority: Authority, version: ssl.TLSVersion, expected: Outcome
) -> None:
    strict = authority.server(client_certs=True)
    strict.minimum_version = strict.maximum_version = version
    with threaded_tls(strict, OK) as server:
        response = await attempt(server.url, method="POST", tls={"ca_bundle": authority.pem})

    assert (outcome(response), server.count) == (expected, 0)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("form", ["path", "content"])
async def test_a_certificate_of_ours_opens_the_door(
    authority: Authority, version: ssl.TLSVersion, form: str
) -> None:
    strict = authority.server(client_certs=True)
    strict.minimum_version = strict.maximum_version = version
    ours = authority.identity("127.0.0.9")
    with threaded_tls(strict, OK) as server:
        certificate = str(ours) if form == "path" else ours.read_text()
        tls = {"ca_bundle": authority.pem, "client_cert": certificate}
        response = await attempt(server.url, tls=tls)

    assert (outcome(response), server.count) == ((None, "responded", 200), 1)


async def test_a_certificate_of_ours_that_they_do_not_trust(authority: Authority, tmp_path: Path) -> None:
    """T5"""
    (tmp_path / "other").mkdir()
    stranger = Authority(tmp_path / "other").identity()
    with threaded_tls(authority.server(client_certs=True), OK) as server:
        tls = {"ca_bundle": authority.pem, "client_cert": str(stranger)}
        response = await attempt(server.url, tls=tls)

    assert (outcome(response)[0], server.count) == ("tls_client_cert", 0)


@pytest.mark.parametrize("form", ["path", "content"])
async def test_an_authority_of_ones_own(authority: Authority, form: str) -> None:
    async with serving(OK, tls=authority.server()) as server:
        bundle = str(authority.path) if form == "path" else authority.pem
        response = await attempt(server.url, tls={"ca_bundle": bundle})

    assert outcome(response) == (None, "responded", 200)


async def test_without_verification_anyone_may_answer(tmp_path: Path) -> None:
    async with serving(OK, tls=self_signed(tmp_path)) as server:
        response = await attempt(server.url, tls={"verify": False})

    assert outcome(response) == (None, "responded", 200)


async def test_a_body_over_tls_that_is_cut_short(authority: Authority) -> None:
    """P1"""
    cut = sending(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi")
    async with serving(cut, tls=authority.server()) as server:
        response = await attempt(server.url, tls={"ca_bundle": authority.pem})

    assert outcome(response) == ("body_incomplete", "responded", 200)


def test_a_key_is_never_shown(authority: Authority) -> None:
    ours = authority.identity().read_text()
    config = TlsConfig.model_validate({"client_cert": ours}, context=RESOLVED)

    shown = f"{config!r} {config} {config.model_dump()} {config.model_dump_json()}"

    assert "PRIVATE KEY" not in shown
    assert pickle.loads(pickle.dumps(config)) == config  # it does arrive on the workers
