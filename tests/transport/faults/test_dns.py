"""Names: rows N4 and N5 of the fault matrix in detail."""

from __future__ import annotations

import asyncio
import socket
import threading

import pytest

from http_enrich_transport.network._dns import NEGATIVE_SECONDS, RECHECK_SECONDS, STALE_SECONDS, HostResolver
from tests.support.faults import attempt, outcome
from tests.support.names import NXDOMAIN, SERVFAIL, Names, resolving
from tests.support.peer import OK, serving

HOST = "api.test"


class Clock:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def resolver(names: Names, clock: Clock, *, stale_after: float = 5) -> HostResolver:
    return HostResolver(60, clock=clock, getaddrinfo=names.getaddrinfo, stale_after=stale_after)


async def test_a_hundred_rows_ask_once() -> None:
    names = Names({HOST: "10.0.0.1"})
    hosts = resolver(names, Clock())

    found = await asyncio.gather(*(hosts.lookup(HOST) for _ in range(100)))

    assert (set(found), names.asked[HOST]) == ({("10.0.0.1",)}, 1)


async def test_rows_that_asked_at_once_spread_over_the_addresses() -> None:
    hosts = resolver(Names({HOST: ["10.0.0.1", "10.0.0.2"]}), Clock())

    found = await asyncio.gather(*(hosts.lookup(HOST) for _ in range(4)))

    assert [each[0] for each in found].count("10.0.0.1") == 2


async def test_an_address_is_known_for_its_time() -> None:
    names, clock = Names({HOST: "10.0.0.1"}), Clock()
    hosts = resolver(names, clock)

    asked = []
    for passed in (0, 59.9, 0.1, 59.9, 0.1):
        clock.now += passed
        await hosts.lookup(HOST)
        asked.append(names.asked[HOST])

    assert asked == [1, 1, 2, 2, 3]


async def test_a_name_that_does_not_exist_is_not_asked_for_again_at_once() -> None:
    """N4"""
    names, clock = Names({HOST: NXDOMAIN}), Clock()
    hosts = resolver(names, clock)

    asked = []
    for passed in (0, NEGATIVE_SECONDS - 0.01, 0.01):
        clock.now += passed
        with pytest.raises(socket.gaierror):
            await hosts.lookup(HOST)
        asked.append(names.asked[HOST])

    assert asked == [1, 1, 2]


async def test_a_resolver_that_fails_is_asked_again() -> None:
    names = Names({HOST: SERVFAIL})
    hosts = resolver(names, Clock())
    with pytest.raises(socket.gaierror):
        await hosts.lookup(HOST)

    names.hosts[HOST] = "10.0.0.1"

    assert await hosts.lookup(HOST) == ("10.0.0.1",)


async def test_a_known_address_serves_while_the_resolver_fails() -> None:
    names, clock = Names({HOST: "10.0.0.1"}), Clock()
    hosts = resolver(names, clock)
    await hosts.lookup(HOST)

    names.hosts[HOST] = SERVFAIL
    clock.now += STALE_SECONDS

    assert await hosts.lookup(HOST) == ("10.0.0.1",)


async def test_a_known_address_does_not_serve_for_ever() -> None:
    names, clock = Names({HOST: "10.0.0.1"}), Clock()
    hosts = resolver(names, clock)
    await hosts.lookup(HOST)

    names.hosts[HOST] = SERVFAIL
    clock.now += 60 + STALE_SECONDS

    with pytest.raises(socket.gaierror):
        await hosts.lookup(HOST)


async def test_a_known_address_does_not_serve_once_the_name_is_gone() -> None:
    names, clock = Names({HOST: "10.0.0.1"}), Clock()
    hosts = resolver(names, clock)
    await hosts.lookup(HOST)

    names.hosts[HOST] = NXDOMAIN
    clock.now += 61

    with pytest.raises(socket.gaierror):
        await hosts.lookup(HOST)


async def test_a_known_address_serves_while_the_resolver_is_slow() -> None:
    """N5: and the answer that comes late counts for those that follow."""
    names, clock = Names({HOST: "10.0.0.1"}), Clock()
    hosts = resolver(names, clock, stale_after=0.01)
    await hosts.lookup(HOST)

    names.hosts[HOST] = None
    clock.now += 61
    meanwhile = await asyncio.gather(*(hosts.lookup(HOST) for _ in range(5)))
    names.hosts[HOST] = "10.0.0.2"
    names.release.set()
    await asyncio.wait(hosts._flights.values())

    assert (set(meanwhile), names.asked[HOST]) == ({("10.0.0.1",)}, 2)
    assert await hosts.lookup(HOST) == ("10.0.0.2",)


async def test_who_gives_up_waiting_does_not_spoil_it_for_the_others() -> None:
    names = Names({HOST: None})
    hosts = resolver(names, Clock())
    impatient, patient = (asyncio.create_task(hosts.lookup(HOST)) for _ in range(2))
    await asyncio.sleep(0)

    impatient.cancel()
    with pytest.raises(asyncio.CancelledError):
        await impatient
    names.hosts[HOST] = "10.0.0.1"
    names.release.set()

    assert (await patient, names.asked[HOST]) == (("10.0.0.1",), 1)


async def test_six_hung_names_do_not_hold_up_the_seventh() -> None:
    """N5"""
    dead = {f"dead{number}.test": None for number in range(6)}
    names = Names({**dead, HOST: "10.0.0.1"})
    hosts = resolver(names, Clock())
    waiting = [asyncio.create_task(hosts.lookup(each)) for each in dead]
    await asyncio.sleep(0)

    assert await hosts.lookup(HOST) == ("10.0.0.1",)
    assert not any(each.done() for each in waiting)

    names.release.set()
    await asyncio.gather(*waiting, return_exceptions=True)


async def test_closing_does_not_wait_for_a_name_service_that_hangs() -> None:
    """N5"""
    with resolving(api_test=None) as names:
        response = await attempt("http://api.test/", connect_timeout=0.1)
        still_hung = not names.release.is_set() and any(
            each.name.startswith("http-enrich-dns") for each in threading.enumerate()
        )

    assert outcome(response) == ("dns_timeout", "not_sent", None)
    assert still_hung


@pytest.mark.parametrize("host", ["a" * 64 + ".test", ".".join(["a" * 60] * 5), "a..test"])
async def test_what_cannot_be_a_name(host: str) -> None:
    """N4"""
    async with serving(OK) as server:
        response = await attempt(f"http://{host}/", base_url=server.url)

    assert response.error is not None
    assert response.error.kind in ("dns", "invalid_request")
    assert response.sent == "not_sent"


async def test_a_resolver_that_fails_is_dns() -> None:
    with resolving(api_test=SERVFAIL):
        response = await attempt("http://api.test/", method="POST")

    assert outcome(response) == ("dns", "not_sent", None)


async def test_a_resolver_that_has_failed_is_left_alone_while_an_old_address_serves() -> None:
    names, clock = Names({HOST: "10.0.0.1"}), Clock()
    hosts = resolver(names, clock)
    await hosts.lookup(HOST)

    names.hosts[HOST] = SERVFAIL
    asked = []
    for passed in (61, RECHECK_SECONDS - 0.01, 0.01):
        clock.now += passed
        await hosts.lookup(HOST)
        asked.append(names.asked[HOST])

    assert asked == [2, 2, 3]


async def test_who_waits_for_a_name_when_the_engine_closes_is_told() -> None:
    names = Names({HOST: None})
    hosts = resolver(names, Clock())
    waiting = asyncio.create_task(hosts.lookup(HOST))
    while not names.asked[HOST]:  # noqa: ASYNC110 - the other thread tells nobody
        await asyncio.sleep(0)

    hosts.close()
    with pytest.raises(socket.gaierror):
        await waiting

    names.release.set()
