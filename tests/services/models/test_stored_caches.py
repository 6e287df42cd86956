"""Answers and vectors that outlive the process: found by the next, and by those beside it."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field, replace
from decimal import Decimal

import pytest

from adapters.grpc.answer_codec import ProtobufAnswers
from core.generation import ReasoningDelta, TextDelta
from core.identifiers import Seconds, TenantId
from core.ports.cache_observer import LookUp
from core.ports.cache_rows import CachedRow
from core.ports.gateway_observer import AttemptEnded
from core.ports.model_gateway import CachePolicy, Routed, Selected
from core.ports.state import EVERY_TENANT, State
from fakes.faulty_state import FaultyState
from fakes.gateway_node import GatewayNode, Heard, gateway_node
from fakes.language_model import Think, script
from fakes.state import FakeState
from fakes.state_faults import CommitFault
from fakes.turn_node import ACME, a_model, loop_clock, loop_now
from services.models.cache_store import CacheBounds, CacheStore
from services.models.caching import CachingGateway
from services.models.response_cache import ResponseCache
from services.models.stored_answers import StoredAnswers

BOTH = CachePolicy(read=True, write=True)
READ = CachePolicy(read=True)
BOUNDS = CacheBounds(read=Seconds(0.05), most_rows=100, most_bytes=100_000)
OTHER = TenantId("rival")


@dataclass
class Told:
    """What operators are told."""

    lookups: Counter[LookUp] = field(default_factory=Counter)
    dropped: int = 0
    spared: list[Decimal | None] = field(default_factory=list)

    def cache_looked_up(self, kind: str, outcome: LookUp, count: int) -> None:
        self.lookups[outcome] += count

    def cache_dropped(self, kind: str, count: int) -> None:
        self.dropped += count

    def attempt_ended(self, ended: AttemptEnded) -> None:
        """Another's affair."""

    def key_rested(self, deployment: str, why: str) -> None:
        """Nor this."""

    def answered_without_call(self, saved: Decimal | None, currency: str) -> None:
        self.spared.append(saved)


class Process:
    """A gateway with nothing in memory, its provider, and its way to a store that others use."""

    def __init__(self, store: FakeState, bounds: CacheBounds = BOUNDS, about: str = "") -> None:
        self.model = a_model(script(Think("hm"), "a", "b"))
        self.way, self.told, clock = FaultyState(store), Told(), loop_clock()
        self.caches = CacheStore(self.way, clock, bounds, self.told)
        self.node: GatewayNode = gateway_node(self.model)
        self.node.gateway = CachingGateway(
            self.node.gateway,
            ResponseCache(100_000, Seconds(60), about),
            clock,
            self.told,
            StoredAnswers(self.caches, ProtobufAnswers(), clock, Seconds(60)),
        )

    async def hear(
        self, text: str = "Hi", tenant: TenantId = ACME, cache: CachePolicy = BOTH
    ) -> Heard:
        heard = await self.node.hear(self.node.order(text, tenant=tenant, cache=cache))
        assert heard.error is None
        return heard

    async def answered(self, *texts: str) -> None:
        """These were asked, and are written."""
        for text in texts:
            await self.hear(text)
        await asyncio.sleep(0)
        await self.caches.flush()

    @property
    def calls(self) -> int:
        return len(self.model.calls)


async def rows(state: State, tenant: TenantId = ACME) -> list[CachedRow]:
    assert isinstance(state, FakeState)
    return [row for row in state.tables.cached.values() if row.tenant == tenant]


@pytest.fixture
def store() -> FakeState:
    return FakeState(loop_now)


async def test_an_answer_survives_its_process_and_is_streamed_as_it_was(store: FakeState) -> None:
    before = Process(store)
    first = await before.hear()
    await asyncio.sleep(0)
    await before.caches.close()
    after = Process(store)
    again = await after.hear()
    assert (before.calls, after.calls) == (1, 0)
    said = [event for event in first.events if not isinstance(event, Routed | Selected)][:-1]
    assert again.events[:-1] == said
    assert [type(event) for event in said] == [ReasoningDelta, TextDelta, TextDelta]
    end = again.completed
    assert (end.cached, end.cost, end.attempt) == (True, Decimal(0), 0)
    assert end.deployment == first.completed.deployment
    assert end.spent is not None
    assert end.spent.saved == first.completed.cost
    assert after.told.spared == [first.completed.cost]
    assert after.told.lookups == {LookUp.HIT: 1}


async def test_processes_share_what_one_of_them_heard_and_read_it_once(store: FakeState) -> None:
    one, two = Process(store), Process(store)
    assert (await two.hear("Ho")).text == "ab"
    await one.answered("Hi")
    for _ in range(3):
        assert (await two.hear("Hi")).completed.cached
    assert two.calls == 1
    assert two.told.lookups == {LookUp.MISS: 1, LookUp.HIT: 1}  # then it is in memory


async def test_another_tenant_is_not_given_it(store: FakeState) -> None:
    await Process(store).answered("Hi")
    other = Process(store)
    assert not (await other.hear(tenant=OTHER)).completed.cached
    assert other.calls == 1


async def test_who_does_not_ask_for_it_neither_reads_nor_writes(store: FakeState) -> None:
    one = Process(store)
    await one.hear(cache=CachePolicy())
    await one.hear(cache=READ)
    await asyncio.sleep(0)
    await one.caches.flush()
    assert await rows(store) == []
    await one.answered("Hi")
    two = Process(store)
    await two.hear(cache=CachePolicy(write=True))
    assert (two.calls, two.told.lookups) == (1, {})


async def test_it_grows_old_with_the_time_and_not_with_the_process(store: FakeState) -> None:
    await Process(store).answered("Hi")
    await asyncio.sleep(30)
    fresh = CachePolicy(read=True, longest=Seconds(10))
    assert not (await Process(store).hear(cache=fresh)).completed.cached
    late = Process(store)
    assert (await late.hear()).completed.cached
    await asyncio.sleep(31)
    assert not (await late.hear(cache=READ)).completed.cached  # nor from its memory
    assert not (await Process(store).hear(cache=READ)).completed.cached


async def test_other_settings_have_answers_of_their_own(store: FakeState) -> None:
    await Process(store, about="blue").answered("Hi")
    assert not (await Process(store, about="green").hear(cache=READ)).completed.cached
    assert (await Process(store, about="blue").hear(cache=READ)).completed.cached


async def test_a_store_that_is_away_is_a_miss_and_is_left_alone_a_while(store: FakeState) -> None:
    await Process(store).answered("Hi")
    one = Process(store)
    one.way.faults.away = True
    assert not (await one.hear(cache=READ)).completed.cached
    one.way.faults.away = False
    assert not (await one.hear(cache=READ)).completed.cached
    assert one.told.lookups == {LookUp.AWAY: 2}
    await asyncio.sleep(1)
    assert (await one.hear(cache=READ)).completed.cached


async def test_a_store_that_hangs_costs_a_request_its_time_out_and_no_more(
    store: FakeState,
) -> None:
    await Process(store).answered("Hi")
    one, loop = Process(store), asyncio.get_running_loop()
    began = loop.time()
    await Process(store).hear("else")
    plain = loop.time() - began
    one.way.stop()
    began = loop.time()
    assert not (await one.hear(cache=READ)).completed.cached
    assert loop.time() - began == pytest.approx(plain + 0.05)
    began = loop.time()
    await one.hear(cache=READ)
    assert loop.time() - began == pytest.approx(plain)
    one.way.go_on()


@pytest.mark.parametrize(
    "body", [b"", b"\x02", b"\x01", b"\x01\xff\x00\x00\x00ab", b"\x01\x02\x00\x00\x00\xff\xff"]
)
async def test_a_row_that_cannot_be_read_is_a_miss_and_is_written_anew(
    store: FakeState, body: bytes
) -> None:
    await Process(store).answered("Hi")
    (row,) = await rows(store)
    async with store.transaction(EVERY_TENANT) as tx:
        tx.cached.put(replace(row, body=body))
    one = Process(store)
    await one.answered("Hi")
    assert (one.calls, one.told.lookups) == (1, {LookUp.UNREADABLE: 1})
    assert (await Process(store).hear()).completed.cached


async def test_what_the_store_refuses_is_dropped_and_counted(store: FakeState) -> None:
    one = Process(store)
    one.way.faults.fail_commits(CommitFault.LOST)
    await one.answered("Hi")
    assert (one.told.dropped, await rows(store)) == (1, [])
    await one.answered("Ho")
    assert len(await rows(store)) == 1


async def test_what_waits_is_bounded(store: FakeState) -> None:
    one = Process(store)
    for number in range(1_003):
        one.caches.keep(ACME, "answer", f"{number}", b"x", Seconds(9))
    one.caches.keep(ACME, "answer", "7", b"y", Seconds(9))  # in its own place
    one.caches.keep(ACME, "answer", "large", b"x" * 200_000, Seconds(9))
    assert one.told.dropped == 4
    vast = CacheStore(one.way, loop_clock(), replace(BOUNDS, most_bytes=10**9), one.told)
    for number in range(9):
        vast.keep(ACME, "answer", f"{number}", b"x" * 1_000_000, Seconds(9))
    assert one.told.dropped == 5


async def test_a_tenants_rows_are_bounded_and_the_oldest_go(store: FakeState) -> None:
    one = Process(store, replace(BOUNDS, most_rows=3))
    for text in "abcdef":
        await one.answered(text)
        await asyncio.sleep(0.1)
    assert len(await rows(store)) == 3
    found = [(await Process(store).hear(text, cache=READ)).completed.cached for text in "cdef"]
    assert found == [False, True, True, True]


async def test_it_is_written_and_swept_while_the_process_lives(store: FakeState) -> None:
    one = Process(store)
    running = asyncio.create_task(one.caches.run())
    await one.hear()
    await asyncio.sleep(1)
    assert len(await rows(store)) == 1
    one.way.faults.away = True
    await asyncio.sleep(70)
    assert len(await rows(store)) == 1
    one.way.faults.away = False
    await asyncio.sleep(60)
    assert await rows(store) == []
    running.cancel()
    await asyncio.wait({running})
