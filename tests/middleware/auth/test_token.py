"""One token for all rows: when it is asked for, and what becomes of those who wait."""

from __future__ import annotations

import asyncio
import gc
import logging
import math

import pytest

from http_enrich_middleware import DEADLINE_EXCEEDED, RUN_STOPPED, Failure
from http_enrich_middleware._token import (
    Grant,
    NoTokenError,
    RefusedError,
    Token,
    TokenKeeper,
    UnavailableError,
)
from tests.support import virtual_time
from tests.support.chain import FakeTime


class Server:
    """Says what *says* lists, one after the other, and the last of it from then on; `delay` seconds later."""

    def __init__(self, *says: Grant | Exception, delay: float = 0.0) -> None:
        self.says, self.asked, self.delay = list(says), 0, delay

    async def __call__(self) -> Grant:
        self.asked += 1
        say = self.says.pop(0) if len(self.says) > 1 else self.says[0]
        if self.delay:
            await asyncio.sleep(self.delay)
        if isinstance(say, Exception):
            raise say
        return say


class Issuing(Server):
    """Grants `token-1`, `token-2` …, each for *lifetime* seconds."""

    def __init__(self, lifetime: float | None = None, delay: float = 0.0) -> None:
        super().__init__(Grant(""), delay=delay)
        self.lifetime = lifetime

    async def __call__(self) -> Grant:
        await super().__call__()
        return Grant(f"token-{self.asked}", self.lifetime)


async def outcome(keeper: TokenKeeper, until: float = math.inf) -> str | Failure:
    try:
        return (await keeper.get(until)).text
    except NoTokenError as error:
        return error.failure


@pytest.mark.parametrize(
    ("lifetime", "renewed_after"),
    [
        (3600, 3540),  # a minute ahead at most
        (300, 270),  # a tenth of its life
        (60, 50),  # ten seconds at least
        (15, 7.5),  # and half of its life at most
        (1e300, 365 * 86400 - 60),  # what lives for ever lives for a year
    ],
)
async def test_a_token_is_renewed_ahead_of_its_end_while_rows_go_on_with_it(
    lifetime: float, renewed_after: float
) -> None:
    time, server = FakeTime(share=0.0), Issuing(lifetime)
    keeper = TokenKeeper(server, time.runtime, "test")
    first = await keeper.get(math.inf)

    time.now = 1000.0 + renewed_after - 0.001
    assert keeper.current() is first
    assert server.asked == 1

    time.now = 1000.0 + renewed_after
    assert keeper.current() is None
    seeing_to_it = asyncio.create_task(outcome(keeper))
    await asyncio.sleep(0)
    assert [keeper.current() for _ in range(100)] == [first] * 100
    assert (await seeing_to_it, await outcome(keeper), server.asked) == ("token-2", "token-2", 2)


async def test_workers_spread_their_renewals_by_a_quarter_of_the_time_ahead() -> None:
    time, server = FakeTime(share=1.0), Issuing(3600)
    keeper = TokenKeeper(server, time.runtime, "test")
    await keeper.get(math.inf)

    assert time.ranges == [(0.0, 15.0)]
    for now, asked in ((3524.9, 1), (3525.0, 2)):
        time.now = 1000.0 + now
        assert (await outcome(keeper), server.asked) == (f"token-{asked}", asked)


async def test_the_life_of_a_token_begins_when_it_is_asked_for() -> None:
    async def slow() -> Grant:
        time.now += 100
        return Grant("token", 300)

    time = FakeTime()
    token = await TokenKeeper(slow, time.runtime, "test").get(math.inf)

    assert token.expires_at == 1300.0


async def test_a_token_that_has_ended_is_not_handed_out() -> None:
    time, server = FakeTime(), Issuing(300)
    keeper = TokenKeeper(server, time.runtime, "test")
    await keeper.get(math.inf)

    time.now += 300
    assert keeper.current() is None
    assert await outcome(keeper) == "token-2"


async def test_a_token_without_an_end_is_used_until_it_is_refused() -> None:
    time, server = FakeTime(), Issuing()
    keeper = TokenKeeper(server, time.runtime, "test")
    token = await keeper.get(math.inf)

    time.now += 1e9
    assert keeper.current() is token
    keeper.invalidate(token)
    assert keeper.current() is None
    assert (await outcome(keeper), server.asked) == ("token-2", 2)


async def test_a_refused_token_that_was_renewed_already_changes_nothing() -> None:
    server = Issuing()
    keeper = TokenKeeper(server, FakeTime().runtime, "test")
    old = await keeper.get(math.inf)
    keeper.invalidate(old)
    new = await keeper.get(math.inf)

    keeper.invalidate(old)
    keeper.invalidate(Token(new.text))  # the same text may have been granted anew

    assert keeper.current() is new


def test_a_hundred_rows_wait_for_one_request() -> None:
    async def main() -> tuple[list[str | Failure], int, float]:
        server = Issuing(delay=2.0)
        keeper = TokenKeeper(server, virtual_time.runtime(), "test")
        tokens = await asyncio.gather(*(outcome(keeper) for _ in range(100)))
        return tokens, server.asked, virtual_time.clock()

    assert virtual_time.run(main()) == (["token-1"] * 100, 1, 2.0)


def test_a_row_that_is_cancelled_takes_nothing_from_the_others() -> None:
    async def main() -> tuple[list[str | Failure], int]:
        server = Issuing(delay=2.0)
        keeper = TokenKeeper(server, virtual_time.runtime(), "test")
        first, *others = [asyncio.create_task(outcome(keeper)) for _ in range(5)]
        await asyncio.sleep(1.0)
        first.cancel()
        return await asyncio.gather(*others), server.asked

    assert virtual_time.run(main()) == (["token-1"] * 4, 1)


def test_the_request_of_rows_that_are_all_cancelled_serves_the_next_ones() -> None:
    async def main() -> tuple[str | Failure, int]:
        server = Issuing(delay=2.0)
        keeper = TokenKeeper(server, virtual_time.runtime(), "test")
        row = asyncio.create_task(outcome(keeper))
        await asyncio.sleep(1.0)
        row.cancel()
        await asyncio.sleep(5.0)
        return await outcome(keeper), server.asked

    assert virtual_time.run(main()) == ("token-1", 1)


def test_a_row_waits_no_longer_than_its_deadline() -> None:
    async def main() -> None:
        server = Issuing(delay=10.0)
        keeper = TokenKeeper(server, virtual_time.runtime(), "test")
        late = Failure(DEADLINE_EXCEEDED, "there was no token before the row's deadline")

        assert await outcome(keeper, until=4.0) == late
        assert virtual_time.clock() == 4.0
        assert await outcome(keeper, until=4.0) == late
        assert virtual_time.clock() == 4.0
        assert await outcome(keeper, until=11.0) == "token-1"
        assert (virtual_time.clock(), server.asked) == (10.0, 1)

    virtual_time.run(main())


async def test_a_deadline_that_has_passed_asks_for_nothing() -> None:
    time, server = FakeTime(), Issuing()

    failure = await outcome(TokenKeeper(server, time.runtime, "test"), until=1000.0)

    assert isinstance(failure, Failure)
    assert (failure.kind, server.asked) == (DEADLINE_EXCEEDED, 0)


async def test_a_request_that_fails_is_made_again_with_growing_waits() -> None:
    time = FakeTime()
    server = Server(UnavailableError("busy"), UnavailableError("busy", 7.0), Grant("token"))

    assert await outcome(TokenKeeper(server, time.runtime, "test")) == "token"
    assert (server.asked, time.ranges, time.waits) == (3, [(0.0, 0.5), (0.0, 1.0)], [0.5, 8.0])


async def test_after_three_requests_rows_are_told_that_the_server_is_away() -> None:
    time, server = FakeTime(), Server(UnavailableError("the server is away"))
    keeper = TokenKeeper(server, time.runtime, "test")

    assert await outcome(keeper) == Failure("auth_unavailable", "the server is away", retry=True)
    assert (server.asked, time.waits) == (3, [0.5, 1.0])


async def test_those_who_come_next_wait_on_and_the_waits_stop_growing_at_twenty_seconds() -> None:
    time, server = FakeTime(), Server(UnavailableError("away"))
    keeper = TokenKeeper(server, time.runtime, "test")
    for _ in range(4):
        await outcome(keeper)

    assert time.waits == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 20.0, 20.0, 20.0, 20.0, 20.0]


async def test_a_token_starts_the_waits_anew() -> None:
    time = FakeTime()
    server = Server(*[UnavailableError("away")] * 2, Grant("token"), UnavailableError("away"), Grant("token"))
    keeper = TokenKeeper(server, time.runtime, "test")
    keeper.invalidate(await keeper.get(math.inf))
    await keeper.get(math.inf)

    assert time.waits == [0.5, 1.0, 0.5]


async def test_a_refusal_is_remembered_for_half_a_minute() -> None:
    time, server = FakeTime(), Server(RefusedError("invalid_client"))
    keeper = TokenKeeper(server, time.runtime, "test")

    failures = [await outcome(keeper) for _ in range(1000)]
    assert failures == [Failure("auth_failed", "invalid_client")] * 1000
    assert (server.asked, time.waits) == (1, [])

    time.now += 29.9
    await outcome(keeper)
    assert server.asked == 1
    time.now += 0.1
    await outcome(keeper)
    assert server.asked == 2


async def test_after_a_refusal_a_token_may_come_all_the_same() -> None:
    time, server = FakeTime(), Server(RefusedError("not yet"), Grant("token"))
    keeper = TokenKeeper(server, time.runtime, "test")
    await outcome(keeper)
    time.now += 30

    assert await outcome(keeper) == "token"


async def test_a_renewal_that_is_refused_leaves_the_token_its_last_minutes() -> None:
    time, server = FakeTime(share=0.0), Server(Grant("token", 3600), RefusedError("no"))
    keeper = TokenKeeper(server, time.runtime, "test")
    token = await keeper.get(math.inf)

    for now, asked in ((3540, 2), (3569, 2), (3570, 3), (3599, 3)):
        time.now = 1000.0 + now
        for _ in range(100):
            assert await keeper.get(math.inf) is token
        assert server.asked == asked
    time.now = 1000.0 + 3600
    assert await outcome(keeper) == Failure("auth_failed", "no")


def test_one_row_waits_for_a_renewal_and_the_others_go_on() -> None:
    async def main() -> None:
        server = Issuing(100, delay=3.0)
        keeper = TokenKeeper(server, virtual_time.runtime(uniform=lambda low, high: low), "test")
        await keeper.get(math.inf)
        await asyncio.sleep(87.0)

        assert keeper.current() is None
        one = asyncio.create_task(outcome(keeper))
        await asyncio.sleep(1.0)
        other = keeper.current()
        assert (other and other.text, one.done()) == ("token-1", False)
        assert (await one, virtual_time.clock(), server.asked) == ("token-2", 93.0, 2)

    virtual_time.run(main())


@pytest.mark.parametrize(("left", "waited"), [(math.inf, 5.0), (6.0, 3.0)])
def test_nor_does_it_wait_long_while_the_token_is_good(left: float, waited: float) -> None:
    async def main() -> None:
        server = Issuing(1000, delay=30.0)
        keeper = TokenKeeper(server, virtual_time.runtime(uniform=lambda low, high: low), "test")
        await keeper.get(math.inf)
        await asyncio.sleep(920.0)

        asked = virtual_time.clock()
        assert await outcome(keeper, asked + left) == "token-1"
        assert virtual_time.clock() == asked + waited
        await asyncio.sleep(30.0)
        assert (await outcome(keeper), server.asked) == ("token-2", 2)

    virtual_time.run(main())


async def test_while_the_server_is_away_the_token_serves_to_its_end() -> None:
    time, server = FakeTime(share=0.0), Server(Grant("token", 3600), UnavailableError("away"))
    keeper = TokenKeeper(server, time.runtime, "test")
    token = await keeper.get(math.inf)
    time.now = 1000.0 + 3599.0

    assert await keeper.get(math.inf) is token
    assert server.asked == 4
    time.now = 1000.0 + 3600.0
    assert await outcome(keeper) == Failure("auth_unavailable", "away", retry=True)


async def test_a_defect_below_costs_rows_and_not_the_task() -> None:
    keeper = TokenKeeper(Server(KeyError("canary-7")), FakeTime().runtime, "test")

    assert await outcome(keeper) == Failure("auth_failed", "asking for a token raised KeyError")


async def test_a_run_that_was_given_up_asks_for_no_token() -> None:
    time, server = FakeTime(), Issuing()
    runtime = time.runtime
    runtime.run.stop("the API is gone")

    assert await outcome(TokenKeeper(server, runtime, "test")) == Failure(RUN_STOPPED, "the API is gone")
    assert server.asked == 0


def test_who_waits_for_a_token_is_told_when_the_run_is_given_up() -> None:
    """A server may ask to be left alone for five minutes."""

    async def main() -> tuple[str | Failure, float]:
        runtime = virtual_time.runtime()
        keeper = TokenKeeper(Server(UnavailableError("busy", 300.0)), runtime, "test")
        waiting = asyncio.ensure_future(outcome(keeper))
        await asyncio.sleep(5)
        runtime.run.stop("enough")
        return await waiting, virtual_time.clock()

    assert virtual_time.run(main()) == (Failure(RUN_STOPPED, "enough"), 5)


async def test_the_last_two_tokens_are_hidden() -> None:
    runtime = FakeTime().runtime
    keeper = TokenKeeper(Issuing(), runtime, "test")
    for _ in range(3):
        keeper.invalidate(await keeper.get(math.inf))

    assert runtime.redactor.text("token-1 token-2 token-3") == "token-1 *** ***"


def test_nothing_printable_shows_a_token() -> None:
    assert repr([Token("canary-7"), Grant("canary-7")]) == "[Token(***), Grant(***)]"


@pytest.mark.parametrize("ending", ["cancelled", "closed"])
def test_a_loop_may_end_while_a_token_is_renewed(ending: str, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> TokenKeeper:
        keeper = TokenKeeper(Issuing(delay=60.0), FakeTime().runtime, "test")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(keeper.get(math.inf), 0.01)
        return keeper

    with caplog.at_level(logging.DEBUG):
        if ending == "cancelled":
            keeper = asyncio.run(main())
        else:
            loop = asyncio.new_event_loop()
            keeper = loop.run_until_complete(main())
            loop.close()
        gc.collect()

    assert [each.getMessage() for each in caplog.records if each.levelno > logging.DEBUG] == []
    assert keeper.current() is None


def test_a_keeper_goes_on_in_the_next_loop() -> None:
    server = Issuing(delay=60.0)
    keeper = TokenKeeper(server, FakeTime().runtime, "test")

    async def give_up() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(keeper.get(math.inf), 0.01)

    asyncio.run(give_up())
    server.delay = 0

    assert asyncio.run(outcome(keeper)) == "token-2"
