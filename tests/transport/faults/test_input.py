"""What rows may hold, and where they may lead: rows I4, I7 and I8 of the fault matrix."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from http_enrich_transport import EgressConfig, TransportRequest
from http_enrich_transport.network._egress import EgressPolicy
from tests.support.faults import attempt, engine_for, outcome
from tests.support.names import resolving
from tests.support.peer import OK, serving

INVALID = ("invalid_request", "not_sent", None)
BLOCKED = ("egress_blocked", "not_sent", None)

NEVER = [
    *("0.0.0.0", "0.1.2.3", "169.254.1.1", "169.254.169.254", "224.0.0.1", "239.1.2.3", "240.0.0.1"),
    "255.255.255.255",
    *("168.63.129.16", "100.100.100.200", "192.0.0.192", "fd00:ec2::254"),  # Azure, Alibaba, Oracle, AWS
    *("::", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1"),
]
PRIVATE = [
    *("127.0.0.1", "127.9.9.9", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1"),
    *("192.0.0.8", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1"),
    *("::1", "fc00::1", "fd12:3456::1", "100::1", "2001:db8::1", "2001:2::1"),
]
PUBLIC = ["8.8.8.8", "1.1.1.1", "100.63.255.255", "172.32.0.1", "2606:4700::1111", "2a00:1450:4001::1"]

# What IPv6 makes of an IPv4 address, of which a word is written as {0} and {1}; Teredo inverts it.
FORMS = ["::ffff:{0}:{1}", "64:ff9b::{0}:{1}", "2002:{0}:{1}::1", "::{0}:{1}"]
SIIT, TEREDO = "::ffff:0:{0}:{1}", "2001:0:808:808::{0}:{1}"


def within_ipv6(form: str, address: str) -> str:
    flip = 255 if form == TEREDO else 0
    one, two, three, four = (int(each) ^ flip for each in address.split("."))
    return form.format(f"{one:02x}{two:02x}", f"{three:02x}{four:02x}")


def policy(*allow: str, named: str | None = None) -> EgressPolicy:
    return EgressPolicy(EgressConfig(allow=list(allow)), named=(named,))


@pytest.mark.parametrize("bad", ["\r\nY: b", "\n", "\x00", "\x7f", "\r", "\x0b", "\udfff"])
async def test_control_characters_in_a_header_never_leave(bad: str) -> None:
    """I4"""
    async with serving(OK) as server, engine_for(server.url) as engine:
        headers = [{"X": f"a{bad}"}, {f"X{bad}": "a"}]
        answers = [await engine.send(TransportRequest("GET", server.url, each)) for each in headers]

    assert ([outcome(each) for each in answers], server.connections) == ([INVALID] * 2, 0)


@pytest.mark.parametrize(
    "url",
    [
        *(
            "file:///etc/passwd",
            "ftp://{}/",
            "data:text/plain,a",
            "unix:///run/a.sock",
            "ws://{}/",
            "wss://{}/",
        ),
        *(
            "//{}/",
            "{}/",
            "",
            "http://",
            "http:///a",
            "http://{}/a b",
            "http://{}/a\r\nX: 1",
            "http://{}/\x00",
        ),
        *("http://{}/é", "http://[::1", "http://{}:99999/", "javascript:1", "http:{}", "http://{}:port/"),
    ],
)
async def test_addresses_that_are_not_for_http(url: str) -> None:
    """I7"""
    async with serving(OK) as server:
        written = url.format(server.url.removeprefix("http://"))
        response = await attempt(written, base_url=server.url)

    assert (outcome(response), server.connections) == (INVALID, 0)


@pytest.mark.parametrize("address", [*NEVER, *PRIVATE])
@pytest.mark.parametrize("host", ["data.test", ""])
def test_special_addresses_are_off_limits_for_hosts_from_data(address: str, host: str) -> None:
    """I8"""
    assert not policy(named="http://api.test/").allows(address, host or address)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_open_to_all(address: str) -> None:
    assert policy(named="http://api.test/").allows(address, "data.test")


@pytest.mark.parametrize("form", [*FORMS, TEREDO])
@pytest.mark.parametrize(
    "address", [each for each in NEVER + PRIVATE if ":" not in each and each != "0.0.0.0"]
)
def test_an_ipv4_address_within_an_ipv6_one_is_found(form: str, address: str) -> None:
    """I8: mapped, NAT64, its local form, 6to4, compatible, Teredo."""
    assert not policy(named="http://api.test/").allows(within_ipv6(form, address), "data.test")


@pytest.mark.parametrize("form", FORMS)
def test_a_public_ipv4_address_within_an_ipv6_one_is_open(form: str) -> None:
    assert policy().allows(within_ipv6(form, "8.8.8.8"), "data.test")


@pytest.mark.parametrize(
    "address", [within_ipv6(SIIT, "169.254.169.254"), "5f00::1", "4000::1", "100:0:0:1::1"]
)
def test_ipv6_beyond_what_is_given_out_is_off_limits(address: str) -> None:
    """I8: only 2000::/3 is."""
    assert not policy().allows(address, "data.test")


@pytest.mark.parametrize("address", PRIVATE)
def test_the_host_of_base_url_may_be_private(address: str) -> None:
    assert policy(named="http://API.test:8080/v1").allows(address, "api.test")


@pytest.mark.parametrize("address", NEVER)
def test_not_even_the_host_of_base_url_may_be_a_metadata_service(address: str) -> None:
    """I8"""
    assert not policy(named="http://api.test/").allows(address, "api.test")
    assert not policy("api.test").allows(address, "api.test")


@pytest.mark.parametrize(
    ("allow", "address", "host", "allowed"),
    [
        (["10.1.0.0/16"], "10.1.2.3", "data.test", True),
        (["10.1.0.0/16"], "10.2.2.3", "data.test", False),
        (["10.1.0.0/16"], "::ffff:10.1.2.3", "data.test", True),
        (["10.1.2.3"], "10.1.2.3", "data.test", True),
        (["169.254.169.254"], "169.254.169.254", "data.test", True),
        (["fd00::/8"], "fd12::1", "data.test", True),
        (["data.test"], "10.1.2.3", "data.test", True),
        (["data.test"], "10.1.2.3", "other.data.test", False),
        (["data.test"], "10.1.2.3", "data.test.evil", False),
    ],
)
def test_the_allow_list(allow: Sequence[str], address: str, host: str, allowed: bool) -> None:
    assert policy(*allow).allows(address, host) is allowed


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "169.254.169.254", "[::1]", "[::ffff:7f00:1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]"),
        *("0x7f.1", "rebound.test", "meta.test"),
    ],
)
async def test_a_host_from_data_gets_no_connection(host: str) -> None:
    """I8: whatever it is called."""
    addresses = {"0x7f_1": "127.0.0.1", "rebound_test": "127.0.0.1", "meta_test": "169.254.169.254"}
    with resolving(**addresses):
        async with serving(OK) as server:
            port = server.url.rpartition(":")[2]
            response = await attempt(f"http://{host}:{port}/", method="POST", base_url="http://api.test/")

    assert (outcome(response), server.connections) == (BLOCKED, 0)


@pytest.mark.parametrize("host", ["2130706433", "0177.0.0.1", "127.1"])
async def test_other_ways_to_write_an_ipv4_address(host: str) -> None:
    """I8"""
    async with serving(OK) as server:
        port = server.url.rpartition(":")[2]
        response = await attempt(f"http://{host}:{port}/", base_url="http://api.test/")

    assert response.sent == "not_sent"
    assert server.connections == 0


async def test_a_name_that_moves_to_a_metadata_service() -> None:
    """I8: what counts is the address of the connection, not that of an earlier look."""
    with resolving(api_test="127.0.0.1") as names:
        async with serving(OK.replace(b"X-Tag: a", b"Connection: close")) as server:
            url = f"http://api.test:{server.url.rpartition(':')[2]}/"
            async with engine_for(url, tcp_connection={"ttl_dns_cache": 0}) as engine:
                before = await engine.send(TransportRequest("GET", url))
                names.hosts["api.test"] = "169.254.169.254"
                after = await engine.send(TransportRequest("GET", url))

    assert (outcome(before), outcome(after)) == ((None, "responded", 200), BLOCKED)


async def test_one_address_off_limits_among_several_is_left_out() -> None:
    """I8"""
    with resolving(api_test=["169.254.169.254", "127.0.0.1"]):
        async with serving(OK) as server:
            response = await attempt(f"http://api.test:{server.url.rpartition(':')[2]}/")

    assert outcome(response) == (None, "responded", 200)


@pytest.mark.parametrize("allow", [["127.0.0.0/8"], ["data.test"]])
async def test_what_is_allowed_gets_its_connection(allow: list[str]) -> None:
    with resolving(data_test="127.0.0.1"):
        async with serving(OK) as server:
            url = f"http://data.test:{server.url.rpartition(':')[2]}/"
            response = await attempt(url, base_url="http://api.test/", egress={"allow": allow})

    assert outcome(response) == (None, "responded", 200)


async def test_an_international_name_in_base_url_may_be_private() -> None:
    with resolving(**{"xn--bcher-kva_test": "127.0.0.1"}):
        async with serving(OK) as server:
            response = await attempt(f"http://xn--bcher-kva.test:{server.url.rpartition(':')[2]}/")

    assert outcome(response) == (None, "responded", 200)


def test_translated_addresses_that_hide_the_ipv4_one_are_off_limits() -> None:
    assert not policy().allows("64:ff9b:1:a9fe:a9:fe00:808:808", "api.test")
    assert policy("64:ff9b:1::/48").allows("64:ff9b:1:a9fe:a9:fe00:808:808", "api.test")


def test_a_host_is_the_same_in_capitals() -> None:
    assert policy(named="http://LOCALHOST:1").allows("127.0.0.1", "LocalHost")
