"""Requests of one turn of the loop leave together, in order, and none is lost for another's sake."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import cast

import pytest

from http_enrich_transport import TransportRequest
from http_enrich_transport.aiohttp_engine._cork import Cork, CorkedHandler
from tests.support.faults import engine_for


class Pipe(asyncio.Transport):
    """What is written to it, and when."""

    def __init__(self, said: list[str], name: str) -> None:
        super().__init__({"peername": name})
        self.said, self.name = said, name
        self.closing = self.broken = self.aborted = False

    def is_closing(self) -> bool:
        return self.closing

    def write(self, data: object) -> None:
        if self.broken:
            raise RuntimeError
        self.said.append(f"{self.name}: {cast(bytes, data).decode()}")

    def abort(self) -> None:
        self.aborted = True


@pytest.fixture
def said() -> list[str]:
    return []


async def test_what_becomes_ready_in_one_turn_leaves_after_it_in_order(said: list[str]) -> None:
    loop = asyncio.get_running_loop()
    cork = Cork(loop)
    a, b = Pipe(said, "a"), Pipe(said, "b")

    async def row(pipe: Pipe) -> None:
        cork.hold(pipe, b"1")
        said.append("row")
        cork.hold(pipe, b"2")

    await asyncio.gather(row(a), row(b))
    await asyncio.sleep(0)

    assert said == ["row", "row", "a: 1", "a: 2", "b: 1", "b: 2"]


async def test_the_next_turn_has_a_cork_of_its_own(said: list[str]) -> None:
    cork = Cork(asyncio.get_running_loop())
    pipe = Pipe(said, "a")

    for turn in (b"1", b"2"):
        cork.hold(pipe, turn)
        await asyncio.sleep(0)

    assert said == ["a: 1", "a: 2"]


async def test_a_connection_that_was_given_up_sends_nothing(said: list[str]) -> None:
    cork = Cork(asyncio.get_running_loop())
    given_up, other = Pipe(said, "a"), Pipe(said, "b")

    cork.hold(given_up, b"1")
    cork.hold(other, b"1")
    given_up.closing = True
    await asyncio.sleep(0)

    assert said == ["b: 1"]


async def test_a_connection_that_cannot_be_written_to_is_lost_alone(said: list[str]) -> None:
    cork = Cork(asyncio.get_running_loop())
    broken, other = Pipe(said, "a"), Pipe(said, "b")
    broken.broken = True

    cork.hold(broken, b"1")
    cork.hold(other, b"1")
    await asyncio.sleep(0)

    assert said == ["b: 1"]
    assert (broken.aborted, other.aborted) == (True, False)


async def test_parts_stay_together_and_the_rest_of_a_transport_is_there(said: list[str]) -> None:
    loop = asyncio.get_running_loop()
    handler = CorkedHandler(loop, Cork(loop))
    handler.connection_made(Pipe(said, "a"))
    transport = handler.transport
    assert transport is not None

    transport.write(b"1")
    transport.writelines([b"2", b"3"])
    assert said == []
    await asyncio.sleep(0)

    assert said == ["a: 1", "a: 23"]
    assert transport.get_extra_info("peername") == "a"


async def test_a_request_of_the_engine_leaves_after_the_turn_that_made_it() -> None:
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        async with engine_for(url) as engine:
            first = asyncio.create_task(engine.send(TransportRequest("GET", url)))
            peer, _ = await loop.sock_accept(server)
            with peer:
                peer.setblocking(False)
                await loop.sock_recv(peer, 1000)
                await loop.sock_sendall(peer, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                assert (await first).status == 200

                second = asyncio.create_task(engine.send(TransportRequest("GET", url)))
                await asyncio.sleep(0)  # it runs until it waits for its answer
                with pytest.raises(BlockingIOError):
                    peer.recv(1000)
                assert (await loop.sock_recv(peer, 1000)).startswith(b"GET / HTTP/1.1\r\n")
                second.cancel()
                with suppress(asyncio.CancelledError):
                    await second
