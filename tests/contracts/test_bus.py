"""What every bus keeps, whatever carries the notices."""

from __future__ import annotations

import asyncio

import pytest

from contracts.buses import BreakableExchange, Ear, Exchange, breakable, exchange
from core.identifiers import BootId, TenantId, TurnId
from core.ports.bus import Everyone, Notice, OwnerWanted, TurnChanged

__all__ = ["breakable", "exchange"]

ACME = TenantId("acme")
CHANGED = TurnChanged(ACME, TurnId("t1"))
HOSTILE = ["a.b", "*", ">", "a b", "", "é漢", "a\r\nPUB x 1", "%2E", "x" * 200, "a.>", "\x00"]


class TestWhoHears:
    async def test_a_reader_hears_of_its_turn_and_of_no_other(self, exchange: Exchange) -> None:
        here, there = await exchange.replica(), await exchange.replica()
        ear = Ear(there, CHANGED)
        await exchange.settle()
        here.publish(TurnChanged(ACME, TurnId("t2")))
        here.publish(TurnChanged(TenantId("globex"), TurnId("t1")))
        here.publish(CHANGED)
        assert await ear.next() == CHANGED
        assert ear.heard() == []

    async def test_an_owner_hears_what_is_wanted_of_it_alone(self, exchange: Exchange) -> None:
        here, there = await exchange.replica(), await exchange.replica()
        mine = OwnerWanted(BootId("b1"), ACME, TurnId("t1"))
        ear = Ear(there, BootId("b1"))
        await exchange.settle()
        here.publish(OwnerWanted(BootId("b2"), ACME, TurnId("t1")))
        here.publish(mine)
        assert await ear.next() == mine
        assert ear.heard() == []

    async def test_a_reload_concerns_everyone(self, exchange: Exchange) -> None:
        here, there = await exchange.replica(), await exchange.replica()
        ears = [Ear(here, Everyone.RELOAD), Ear(there, Everyone.RELOAD)]
        await exchange.settle()
        here.publish(Everyone.RELOAD)
        assert [await ear.next() for ear in ears] == [Everyone.RELOAD] * 2

    async def test_every_listener_of_a_topic_hears(self, exchange: Exchange) -> None:
        bus = await exchange.replica()
        ears = [Ear(bus, CHANGED) for _ in range(3)]
        await exchange.settle()
        bus.publish(CHANGED)
        assert [await ear.next() for ear in ears] == [CHANGED] * 3

    async def test_one_publish_is_heard_once(self, exchange: Exchange) -> None:
        here, there = await exchange.replica(), await exchange.replica()
        ear = Ear(there, CHANGED)
        await exchange.settle()
        here.publish(CHANGED)
        await exchange.settle()
        assert ear.heard() == [CHANGED]

    async def test_nobody_need_listen(self, exchange: Exchange) -> None:
        bus = await exchange.replica()
        bus.publish(CHANGED)
        await exchange.settle()

    @pytest.mark.parametrize("id", HOSTILE, ids=ascii)
    async def test_any_id_names_itself_alone(self, exchange: Exchange, id: str) -> None:
        here, there = await exchange.replica(), await exchange.replica()
        odd: list[Notice] = [
            TurnChanged(TenantId(id), TurnId("t")),
            TurnChanged(TenantId("t"), TurnId(id)),
            OwnerWanted(BootId(id), TenantId(id), TurnId(id)),
        ]
        ears = [Ear(there, odd[0]), Ear(there, odd[1]), Ear(there, BootId(id))]  # type: ignore[arg-type]
        plain = Ear(there, CHANGED)
        await exchange.settle()
        here.publish(CHANGED)
        for notice in odd:
            here.publish(notice)
        await exchange.settle()
        assert [ear.heard() for ear in ears] == [[notice] for notice in odd]
        assert plain.heard() == [CHANGED]


class TestLeaving:
    async def test_nothing_is_heard_after_it(self, exchange: Exchange) -> None:
        bus = await exchange.replica()
        gone, stays = Ear(bus, CHANGED), Ear(bus, CHANGED)
        await exchange.settle()
        bus.publish(CHANGED)
        gone.leave()
        assert await stays.next() == CHANGED
        await exchange.settle()
        assert gone.heard() == []

    async def test_it_is_idempotent_and_leaves_the_others(self, exchange: Exchange) -> None:
        bus = await exchange.replica()
        gone, stays = Ear(bus, CHANGED), Ear(bus, CHANGED)
        gone.leave()
        gone.leave()
        await exchange.settle()
        bus.publish(CHANGED)
        assert await stays.next() == CHANGED

    async def test_who_comes_again_hears_again(self, exchange: Exchange) -> None:
        bus = await exchange.replica()
        for _ in range(3):
            ear = Ear(bus, CHANGED)
            await exchange.settle()
            bus.publish(CHANGED)
            assert await ear.next() == CHANGED
            ear.leave()

    async def test_a_listener_may_leave_while_it_hears(self, exchange: Exchange) -> None:
        bus = await exchange.replica()
        heard: list[Notice] = []

        def once(notice: Notice) -> None:
            heard.append(notice)
            leave()

        leave = bus.subscribe(CHANGED, once)
        other = Ear(bus, CHANGED)
        await exchange.settle()
        bus.publish(CHANGED)
        await other.next()
        bus.publish(CHANGED)
        await other.next()
        assert heard == [CHANGED]


class TestHarm:
    async def test_hearing_happens_after_publishing_has_returned(self, exchange: Exchange) -> None:
        bus = await exchange.replica()
        ear = Ear(bus, CHANGED)
        await exchange.settle()
        bus.publish(CHANGED)
        assert ear.heard() == []
        assert await ear.next() == CHANGED

    async def test_a_listener_that_fails_is_reported_and_the_others_hear(
        self, exchange: Exchange
    ) -> None:
        reported: list[object] = []
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: reported.append(context.get("exception"))
        )
        bus = await exchange.replica()
        bug = ValueError("a bug of the listener")

        def fails(notice: Notice) -> None:
            raise bug

        bus.subscribe(CHANGED, fails)
        ear = Ear(bus, CHANGED)
        await exchange.settle()
        bus.publish(CHANGED)
        assert await ear.next() == CHANGED
        assert reported == [bug]

    async def test_a_burst_keeps_the_loop_free_and_reaches_someone(
        self, exchange: Exchange
    ) -> None:
        """What does not fit may be dropped; what is heard was published."""
        here, there = await exchange.replica(), await exchange.replica()
        ear = Ear(there, CHANGED)
        await exchange.settle()
        for number in range(20_000):
            here.publish(TurnChanged(ACME, TurnId(f"t{number % 5_000}")))
        assert await ear.next() == CHANGED
        assert set(ear.heard()) <= {CHANGED}


class TestClosing:
    async def test_what_is_queued_still_arrives(self, exchange: Exchange) -> None:
        here, there = await exchange.replica(), await exchange.replica()
        ear = Ear(there, CHANGED)
        await exchange.settle()
        here.publish(CHANGED)
        await here.close()
        assert await ear.next() == CHANGED

    async def test_it_is_idempotent_and_publishing_stays_harmless(self, exchange: Exchange) -> None:
        bus = await exchange.replica()
        ear = Ear(bus, CHANGED)
        await bus.close()
        await bus.close()
        bus.publish(CHANGED)
        ear.leave()


class TestOutage:
    async def test_publishing_meanwhile_returns_and_raises_nothing(
        self, breakable: BreakableExchange
    ) -> None:
        bus = await breakable.replica()
        await breakable.go_away()
        for number in range(1_000):
            bus.publish(TurnChanged(ACME, TurnId(f"t{number}")))

    async def test_a_subscription_outlives_it(self, breakable: BreakableExchange) -> None:
        here, there = await breakable.replica(), await breakable.replica()
        ear = Ear(there, BootId("b1"))
        await breakable.settle()
        await breakable.go_away()
        await breakable.come_back()
        await breakable.settle()
        wanted = OwnerWanted(BootId("b1"), ACME, TurnId("t1"))
        here.publish(wanted)
        assert await ear.next() == wanted

    async def test_after_it_what_may_have_been_missed_is_told_once(
        self, breakable: BreakableExchange
    ) -> None:
        bus = await breakable.replica()
        turn, reload, owner = (
            Ear(bus, CHANGED),
            Ear(bus, Everyone.RELOAD),
            Ear(bus, BootId("b1")),
        )
        await breakable.settle()
        await breakable.go_away()
        await breakable.come_back()
        assert (await turn.next(), await reload.next()) == (CHANGED, Everyone.RELOAD)
        await breakable.settle()
        assert (turn.heard(), reload.heard(), owner.heard()) == ([], [], [])

    async def test_one_subscribed_meanwhile_hears_afterwards(
        self, breakable: BreakableExchange
    ) -> None:
        here, there = await breakable.replica(), await breakable.replica()
        await breakable.go_away()
        ear = Ear(there, BootId("b1"))
        await breakable.come_back()
        await breakable.settle()
        wanted = OwnerWanted(BootId("b1"), ACME, TurnId("t1"))
        here.publish(wanted)
        assert await ear.next() == wanted

    async def test_one_left_meanwhile_hears_nothing(self, breakable: BreakableExchange) -> None:
        here, there = await breakable.replica(), await breakable.replica()
        ear = Ear(there, CHANGED)
        await breakable.settle()
        await breakable.go_away()
        ear.leave()
        await breakable.come_back()
        await breakable.settle()
        here.publish(CHANGED)
        await breakable.settle()
        assert ear.heard() == []
