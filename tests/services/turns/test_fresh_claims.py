"""Claims that go along with a commit of the writer: together, and each with its own end."""

from __future__ import annotations

import asyncio

import pytest

from core.errors import BranchBusy, Exhausted
from core.ports.state import State, StoreConflict
from fakes.language_model import Wait, script, words
from fakes.state import CommitFault, FakeState
from fakes.turn_node import a_model, turn_node
from fakes.turn_readers import Read
from services.turns.admission import TurnLimits


async def test_turns_that_come_together_share_their_commits(fake: FakeState) -> None:
    async with turn_node(fake, [a_model(words("so it is"))]) as node:
        before = fake.commits
        reads = await asyncio.gather(*(node.ask("Is it?") for _ in range(32)))
        assert {read.text for read in reads} == {"so it is"}
        assert len({read.turn for read in reads}) == 32
        assert fake.commits - before < 10  # one each would be a hundred


async def test_of_two_on_one_branch_that_come_together_one_is_refused(state: State) -> None:
    async with turn_node(state, [a_model(script("a", Wait(0.3), "b"))]) as node:
        talk = await node.converse()
        asked: list[Read] = list(
            await asyncio.gather(*(node.ask("Hi", conversation=talk) for _ in range(2)))
        )
        ends = sorted(asked, key=lambda read: read.error is not None)
        assert ends[0].text == "ab"
        assert isinstance(ends[1].error, BranchBusy)
        assert len(await node.said(talk)) == 2


async def test_those_that_find_no_room_do_not_fail_their_neighbours(state: State) -> None:
    limits = TurnLimits(turns=2, turns_per_tenant=2)
    async with turn_node(state, [a_model(script("a", Wait(0.3), "b"))], limits=limits) as node:
        reads = await asyncio.gather(*(node.ask("Hi") for _ in range(5)))
        assert sorted(read.text for read in reads) == ["", "", "", "ab", "ab"]
        assert sum(isinstance(read.error, Exhausted) for read in reads) == 3
        assert node.admission.running == 0


@pytest.mark.parametrize("fault", list(CommitFault))
async def test_each_finds_out_by_itself_what_came_of_a_commit_that_failed(
    fake: FakeState, fault: CommitFault
) -> None:
    model = a_model(words("so it is"))
    async with turn_node(fake, [model]) as node:
        fake.faults.fail_commits(fault, touching="idempotency")
        reads = await asyncio.gather(*(node.ask("Hi", request_id=f"r{n}") for n in range(8)))
        assert {read.text for read in reads} == {"so it is"}
        assert len({read.turn for read in reads}) == len(model.calls) == 8
        assert [len(await node.ledger(read.turn)) for read in reads] == [1] * 8


async def test_one_that_the_store_refuses_does_not_fail_what_went_with_it(
    fake: FakeState, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another replica has taken the id of one of them between the look and the commit."""
    async with turn_node(fake, [a_model(script("a", Wait(0.2), "b"))]) as node:
        running = asyncio.create_task(node.ask("before"))
        await asyncio.sleep(0.05)
        commit = fake._commit
        refused: list[object] = []

        async def refuse_once(unit: object) -> None:
            if not refused and "idempotency" in unit.touched:  # type: ignore[attr-defined]
                refused.append(unit)
                raise StoreConflict("the request id is taken")
            await commit(unit)  # type: ignore[arg-type]

        monkeypatch.setattr(fake, "_commit", refuse_once)
        reads = await asyncio.gather(*(node.ask("Hi", request_id=f"r{n}") for n in range(4)))
        assert refused
        assert {read.text for read in (*reads, await running)} == {"ab"}


async def test_a_call_that_leaves_while_it_waits_leaves_no_turn_without_a_runner(
    fake: FakeState,
) -> None:
    async with turn_node(fake, [a_model(words("so it is"))]) as node:
        fake.faults.hold_commits(touching="idempotency")
        leaving = asyncio.create_task(node.ask("Hi", request_id="r1", detach=True))
        await fake.faults.wait_until_held()
        leaving.cancel()
        await asyncio.wait({leaving})
        fake.faults.release_commits()
        await asyncio.sleep(1)
        read = await node.ask("Hi", request_id="r1", detach=True)
        assert read.text == "so it is"
        assert read.call is not None
        assert read.call.facts.attached
