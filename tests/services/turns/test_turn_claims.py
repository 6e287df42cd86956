"""One request, one turn: however often it is sent, by whichever method, whatever is refused."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from core.chat import Mode
from core.errors import BranchBusy, Exhausted, FeatureUnsupported, NotFound, RequestIdReused
from core.identifiers import MessageId, RequestId, Seconds, TenantId, TurnId, UserId
from core.messages import Message, Role
from core.ports.state import State
from core.turns.rows import TurnState
from fakes.language_model import Wait, script, words
from fakes.state import FakeState
from fakes.turn_node import ACME, a_model, a_request, open_node, turn_node
from fakes.turn_readers import Reader, read_all, reading
from services.turns.admission import TurnLimits
from services.turns.claims import ROOT

ONE_AT_A_TIME = TurnLimits(turns=1, turns_per_tenant=1)


async def test_fifty_equal_calls_are_one_turn_and_one_charge(state: State) -> None:
    """The same request_id 50 times at once, and again after a restart."""
    model = a_model(words("so it is", pause=0.05))
    async with turn_node(state, [model]) as node:
        reads = await asyncio.gather(*(node.ask("Is it?", request_id="r1") for _ in range(50)))
        assert len({read.turn for read in reads}) == 1
        assert {read.encoded for read in reads} == {reads[0].encoded}
        assert reads[0].text == "so it is"
        assert sum(not read.call.facts.attached for read in reads if read.call) == 1
        assert len(model.calls) == 1
        assert len(await node.ledger(reads[0].turn)) == 1
    async with turn_node(state, [model], boot="boot-2") as node:
        late = await asyncio.gather(*(node.ask("Is it?", request_id="r1") for _ in range(50)))
        assert {read.encoded for read in late} == {reads[0].encoded}
        assert all(read.call.facts.attached for read in late if read.call)
        assert len(model.calls) == 1
        assert len(await node.ledger(reads[0].turn)) == 1


async def test_chat_and_stream_chat_are_one_operation(state: State) -> None:
    """Fault 8: `Chat` and `StreamChat` with one id: one turn."""
    model = a_model(words("a b", pause=0.05))
    async with turn_node(state, [model]) as node:
        request = a_request("Hi", request_id="r1")
        read, view = await asyncio.gather(node.ask(request), node.chat.answer(node.call(), request))
        assert (view.turn.id, view.transcript.text) == (read.turn, "a b")
        assert len(model.calls) == 1


async def test_an_id_stands_for_one_content(state: State) -> None:
    async with turn_node(state) as node:
        turn = (await node.ask("Hi", request_id="r1")).turn
        other = await node.ask("Ho", request_id="r1")
        assert isinstance(other.error, RequestIdReused)
        assert other.error.metadata == {"request_id": "r1", "turn_id": turn}
        same = await node.ask(
            "Hi",
            node.call(deadline=5),
            request_id="r1",
            detach=True,
            linger=Seconds(3),
            turn_timeout=Seconds(9),
        )
        assert same.error is None


async def test_an_id_is_its_users_own(state: State) -> None:
    async with turn_node(state) as node:
        ann = await node.ask("Hi", request_id="r1")
        bob = await node.ask("Ho", node.call(user=UserId("bob")), request_id="r1")
        eve = await node.ask("Hm", node.call(tenant=TenantId("other")), request_id="r1")
        assert len({ann.turn, bob.turn, eve.turn}) == 3


async def test_without_an_id_each_call_is_a_turn_of_its_own(state: State) -> None:
    async with turn_node(state) as node:
        one, two = await node.ask("Hi"), await node.ask("Hi")
        assert one.turn != two.turn
        named = one.call.facts.request_id if one.call else ""
        assert (await node.ask("Hi", request_id=named)).encoded == one.encoded


async def test_a_refused_call_leaves_nothing_behind(fake: FakeState) -> None:
    """Fault 7: the first of 50 equal calls is refused; no one follows a turn that vanishes."""
    model = a_model(words("a b", pause=0.2))
    async with turn_node(fake, [model], limits=ONE_AT_A_TIME) as node:
        with reading(node.stream(a_request("first"))) as first:
            await first.until(1)
            before = fake.commits
            refused = await asyncio.gather(*(node.ask("Hi", request_id="r1") for _ in range(50)))
            assert all(isinstance(read.error, Exhausted) for read in refused)
            assert fake.tables.idempotency.keys() == {
                key for key in fake.tables.idempotency if key.request_id != "r1"
            }
            await first.end()
        assert fake.commits > before
        again = await node.ask("Hi", request_id="r1")
        assert again.text == "a b"
        assert again.call is not None
        assert not again.call.facts.attached


async def test_no_limit_is_asked_of_a_repeat(state: State) -> None:
    model = a_model(words("a b", pause=0.2))
    async with turn_node(state, [model], limits=ONE_AT_A_TIME) as node:
        reads = await asyncio.gather(*(node.ask("Hi", request_id="r1") for _ in range(5)))
        assert {read.text for read in reads} == {"a b"}
        assert (await node.ask("Hi", request_id="r1")).text == "a b"


async def test_each_tenant_has_its_own_limit(state: State) -> None:
    model = a_model(words("a b", pause=0.2))
    limits = TurnLimits(turns=3, turns_per_tenant=1)
    async with turn_node(state, [model], limits=limits) as node:
        other = node.call(tenant=TenantId("other"))
        with reading(node.stream(a_request("Hi"))) as mine:
            await mine.until(1)
            assert isinstance((await node.ask("Ho")).error, Exhausted)
            assert (await node.ask("Ho", other)).error is None


async def test_what_a_mode_cannot_do_is_refused_and_the_id_stays_free(state: State) -> None:
    async with turn_node(state) as node:
        refused = await node.ask("Hi", request_id="r1", mode=Mode.TOOLS)
        assert isinstance(refused.error, FeatureUnsupported)
        assert (await node.ask("Hi", request_id="r1")).error is None


async def test_a_branch_runs_one_turn_at_a_time(state: State) -> None:
    async with turn_node(state, [a_model(words("a b", pause=0.2))]) as node:
        talk = await node.converse()
        with reading(node.stream(a_request("one", conversation=talk))) as first:
            await first.until(1)
            second = await node.ask("two", conversation=talk, request_id="r2")
            assert isinstance(second.error, BranchBusy)
            await first.end()
        third = await node.ask("two", conversation=talk, request_id="r2")
        assert third.text == "a b"  # the refusal had not burned the id


async def test_the_first_message_may_be_asked_again_beside_the_first(state: State) -> None:
    async with turn_node(state, [a_model(words("a b", pause=0.2))]) as node:
        talk = await node.converse()
        await node.ask("one", conversation=talk)
        edited, after = await asyncio.gather(
            node.ask("One", conversation=talk, parent_message=ROOT),
            node.ask("two", conversation=talk),
        )
        assert (edited.error, after.error) == (None, None)
        roots = [m for m in await node.said(talk) if m.parent is None]
        assert [m.message.text for m in roots] == ["one", "One"]
        unknown = await node.ask("x", conversation=talk, parent_message=MessageId("nowhere"))
        assert isinstance(unknown.error, NotFound)


async def test_another_users_conversation_does_not_exist(state: State) -> None:
    async with turn_node(state) as node:
        talk = await node.converse(owner=UserId("bob"))
        assert isinstance((await node.ask("Hi", conversation=talk)).error, NotFound)


@pytest.mark.parametrize("leaves_after", range(12))
async def test_a_call_that_is_cut_while_it_claims_leaves_no_orphan(
    state: State, leaves_after: int
) -> None:
    """The connection breaks at any moment of the claim: no turn runs for ever, none is lost."""
    model = a_model(words("a b c", pause=0.5))
    async with turn_node(state, [model]) as node:
        reader = Reader(node.stream(a_request("Hi", request_id="r1")))
        for _ in range(leaves_after):
            await asyncio.sleep(0)
        reader.leave()
        await asyncio.sleep(2)
        async with state.snapshot(ACME) as view:
            assert await view.turns.running(10) == []
        assert model.running == 0
        again = await node.ask("Hi", request_id="r1")
        assert again.text == "a b c"
        assert (await node.row(again.turn)).run <= 2


async def test_one_who_waits_for_the_claim_of_another_may_leave(fake: FakeState) -> None:
    async with turn_node(fake, [a_model(words("a b", pause=0.1))]) as node:
        fake.faults.hold_commits(touching="idempotency")
        claims = [Reader(node.stream(a_request("Hi", request_id="r1"))) for _ in range(3)]
        await fake.faults.wait_until_held()
        claims[0].leave()
        claims[1].leave()
        await asyncio.sleep(0.01)
        fake.faults.release_commits()
        assert (await claims[2].end()).text == "a b"
        assert len(fake.tables.turns) == 1


async def test_a_claim_under_way_while_the_server_drains_is_run_or_refused(
    fake: FakeState,
) -> None:
    node = await open_node(fake, [a_model(script(Wait(0.1), "a"))])
    fake.faults.hold_commits(touching="idempotency")
    claiming = asyncio.create_task(node.ask("Hi", request_id="r1"))
    await fake.faults.wait_until_held()
    draining = asyncio.create_task(node.turns.drain(Seconds(10)))
    await asyncio.sleep(0.05)
    fake.faults.release_commits()
    assert (await claiming).text == "a"
    await draining
    refused = await node.ask("Hi")
    assert refused.error is not None
    await node.close()


async def test_a_drain_interrupts_what_does_not_end(state: State) -> None:
    node = await open_node(state, [a_model(script("a", Wait(100), "b"))])
    reader = Reader(node.stream(a_request("Hi", request_id="r1")))
    await reader.until(2)
    loop = asyncio.get_running_loop()
    began = loop.time()
    await node.turns.drain(Seconds(3))
    assert loop.time() - began == pytest.approx(3, abs=0.5)
    read = await reader.end()
    assert read.transcript.finished is not None
    assert read.transcript.finished.reason.value == "INTERRUPTED"
    await node.close()


async def test_the_request_decides_the_turn_before_it_is_asked_twice(state: State) -> None:
    """What is fixed by the first call: its linger and whether text may be taken back."""
    async with turn_node(state) as node:
        request = a_request(
            "Hi", request_id="r1", linger=Seconds(7), accept_retractions=True, feature="f"
        )
        read = await node.ask(request)
        row = await node.row(read.turn)
        assert (row.linger, row.retractions, row.feature) == (Seconds(7), True, "f")
        assert row.state is TurnState.FINISHED
        other = replace(request, accept_retractions=False)
        assert isinstance((await node.ask(other)).error, RequestIdReused)
        resumed = await read_all(
            node.chat.resume(node.call(), read.turn, 0, accepts_retractions=False)
        )
        assert resumed.error is not None
        assert resumed.error.reason.value == "RETRACTIONS_REQUIRED"


async def test_messages_of_a_stateless_call_are_kept_nowhere(fake: FakeState) -> None:
    async with turn_node(fake) as node:
        await node.ask("Hi", messages=(Message.of(Role.USER, "before"),), request_id="r1")
        assert fake.tables.messages == {}
        found = await node.chat.turn(node.call(), TurnId(""), RequestId("r1"), with_events=False)
        assert found.turn.tenant == ACME


async def test_who_asks_again_waits_for_the_claim_that_its_first_call_left(fake: FakeState) -> None:
    """The caller broke off while its claim was on its way; the limit is not asked again."""
    async with turn_node(fake, [a_model(words("a b"))], limits=ONE_AT_A_TIME) as node:
        fake.faults.hold_commits(touching="idempotency")
        left = asyncio.create_task(node.ask("Hi", request_id="r1"))
        await fake.faults.wait_until_held()
        left.cancel()
        await asyncio.wait({left})
        again = asyncio.create_task(node.ask("Hi", request_id="r1"))
        await asyncio.sleep(0.1)
        fake.faults.release_commits()
        assert (await again).text == "a b"
