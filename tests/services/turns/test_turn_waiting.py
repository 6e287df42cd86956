"""A turn that waits for an approval: nobody runs it, and any replica runs it on."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from core.call import Call
from core.chat import ChatRequest
from core.errors import Reason
from core.generation import TokenUsage
from core.identifiers import TurnId
from core.ports.model_gateway import SpendingUnit
from core.ports.state import State
from core.turns.events import ApprovalRequired, Started, Text
from core.turns.rows import Attempt, Decision, EndReason, Turn, TurnFailure, TurnState
from fakes.state import CommitFault, FakeState
from fakes.turn_cluster import Cluster, turn_cluster
from fakes.turn_node import ACME, TurnNode, a_model, a_request
from fakes.turn_readers import Reader, reading
from services.models.attempts import Attempts
from services.turns.admission import TurnLimits
from services.turns.approvals import Wait
from services.turns.claims import ROOT
from services.turns.run import Paused, Run
from services.turns.timings import TurnTimings

DAY = 86_400.0


async def asks(
    call: Call, request: ChatRequest, run: Run, previous: TurnFailure | None
) -> EndReason | Paused:
    """A producer that needs an approval in the middle of its answer."""
    turn = run.turn
    await run.emit(Started(turn.id, turn.run, "v", "", turn.request_id, turn.conversation))
    await run.emit(Text("I would like to "))
    expires = turn.created_at + timedelta(seconds=DAY)
    required = ApprovalRequired("approval-1", "call-1", "it deletes things", expires)
    return await run.pause(Wait(required, run.transcript, lambda _: None))


async def goes_on(run: Run) -> EndReason:
    """The producer that runs it on: says what was decided."""
    assert run.turn.decision is not None
    await run.emit(Text(f"({run.turn.decision.value})"))
    return EndReason.STOP


async def _start(cluster: Cluster, count: int = 2) -> list[TurnNode]:
    return [await cluster.start(go_on=goes_on) for _ in range(count)]


async def _waiting(node: TurnNode, request: ChatRequest | None = None) -> TurnId:
    """A turn that waits, and whose caller has gone."""
    call = node.call()
    stream = node.turns.stream(call, request or a_request(request_id="r1"), asks)
    with reading(stream, call) as reader:
        await reader.until(3)
        turn = reader.read.turn
    row = await node.row(turn)
    assert (row.state, row.owner, row.detach) == (TurnState.WAITING, "", True)
    return turn


async def _note(state: State, turn: TurnId, **changes: object) -> None:
    """Change the row behind everybody's back."""
    async with state.transaction(ACME) as tx:
        row = (await tx.turns.lock([turn]))[turn]
        tx.turns.update(replace(row, **changes))  # type: ignore[arg-type]


async def _decide(node: TurnNode, turn: TurnId, decision: Decision = Decision.APPROVED) -> bool:
    return await node.turns.decide(node.call(), turn, "approval-1", decision)


async def _ended(node: TurnNode, turn: TurnId) -> Turn:
    while not (row := await node.row(turn)).state.ended:  # noqa: ASYNC110 - time is virtual
        await asyncio.sleep(0.05)
    return row


async def test_it_waits_for_hours_with_no_task_at_all(state: State) -> None:
    async with turn_cluster(state) as cluster:
        one, two = await _start(cluster)
        turn = await _waiting(one)
        await asyncio.sleep(3600)
        assert len(one.turns._runs) == len(two.turns._runs) == 0
        assert (await two.get(turn)).turn.state is TurnState.WAITING
        log = await two.log(turn)
        assert [event.kind for event in log] == ["started", "delta", "approval_required"]


@pytest.mark.parametrize("decision", [Decision.APPROVED, Decision.DENIED])
async def test_who_decides_runs_it_on(state: State, decision: Decision) -> None:
    async with turn_cluster(state) as cluster:
        one, two = await _start(cluster)
        turn = await _waiting(one)
        there = Reader(one.chat.resume(one.call(), turn, 0, accepts_retractions=False))
        await there.until(3)
        assert await _decide(two, turn, decision)
        read = await there.end()
        assert read.text == f"I would like to ({decision.value})"
        assert read.numbers == [1, 2, 3, 4, 5]
        row = await one.row(turn)
        assert (row.state, row.run, row.epoch, row.owner) == (
            TurnState.FINISHED,
            1,
            2,
            two.turns._replica.boot,
        )


async def test_a_decision_is_taken_once(state: State) -> None:
    async with turn_cluster(state) as cluster:
        one, two = await _start(cluster)
        turn = await _waiting(one)
        assert not await one.turns.decide(one.call(), turn, "another", Decision.APPROVED)
        taken = await asyncio.gather(
            _decide(one, turn, Decision.APPROVED), _decide(two, turn, Decision.DENIED)
        )
        assert sorted(taken) == [False, True]
        row = await _ended(one, turn)
        assert row.epoch == 2
        assert not await _decide(one, turn)


async def test_one_that_nobody_decides_expires(state: State) -> None:
    async with turn_cluster(state) as cluster:
        (one,) = await _start(cluster, 1)
        turn = await _waiting(one)
        await _note(state, turn, wait_until=one.clock.now() + timedelta(seconds=10))
        await asyncio.sleep(9)
        assert (await one.row(turn)).state is TurnState.WAITING
        await asyncio.sleep(3)
        row = await _ended(one, turn)
        assert row.decision is Decision.EXPIRED
        assert (await one.get(turn)).transcript.text == "I would like to (EXPIRED)"


async def test_one_whose_decider_died_is_woken_by_another(state: State) -> None:
    """The decision is in the store; nobody was left to act upon it."""
    async with turn_cluster(state) as cluster:
        one, two = await _start(cluster)
        turn = await _waiting(one)
        cluster.kill(one)
        await _note(state, turn, decision=Decision.APPROVED)
        await asyncio.sleep(1.5)
        assert (await _ended(two, turn)).reason is EndReason.STOP


@pytest.mark.parametrize("steps", range(24))
async def test_who_decides_may_leave_at_any_moment(fake: FakeState, steps: int) -> None:
    """A wake that was committed has its runner, or the turn would stand still for a lease."""
    async with turn_cluster(fake) as cluster:
        (one,) = await _start(cluster, 1)
        turn = await _waiting(one)
        deciding = asyncio.create_task(_decide(one, turn))
        for _ in range(steps):
            await asyncio.sleep(0)
        deciding.cancel()
        await asyncio.sleep(TurnTimings().lease / 2)
        row = await one.row(turn)
        assert (row.state, row.reason) in (
            (TurnState.FINISHED, EndReason.STOP),
            (TurnState.WAITING, None),  # nothing was decided
        )
        assert (row.state is TurnState.WAITING) == (row.decision is None)


async def test_it_is_woken_by_one_of_many(state: State) -> None:
    async with turn_cluster(state) as cluster:
        nodes = await _start(cluster, 3)
        turn = await _waiting(nodes[0])
        await _note(state, turn, decision=Decision.APPROVED)
        row = await _ended(nodes[0], turn)
        assert row.epoch == 2
        assert (await nodes[1].get(turn)).transcript.text.count("(APPROVED)") == 1


@pytest.mark.parametrize("fault", [CommitFault.REPLY_LOST, CommitFault.LOST])
async def test_the_reply_to_a_wake_may_be_lost(state: State, fault: CommitFault) -> None:
    async with turn_cluster(state) as cluster:
        one, two = await _start(cluster)
        turn = await _waiting(one)
        cluster.kill(one)
        await _note(state, turn, decision=Decision.APPROVED)
        cluster.store_of(two).faults.fail_commits(fault, 2, touching="turns")
        row = await _ended(two, turn)
        assert (row.reason, row.epoch) == (EndReason.STOP, 2)
        assert (await two.get(turn)).transcript.text.count("(APPROVED)") == 1


async def test_the_reply_to_the_wait_may_be_lost(state: State) -> None:
    async with turn_cluster(state) as cluster:
        one, two = await _start(cluster)
        for count in (1, 2, 3):
            cluster.store_of(one).faults.fail_commits(
                CommitFault.REPLY_LOST, count, touching="events"
            )
            turn = await _waiting(one, a_request(request_id=f"r{count}"))
            assert [e.kind for e in await one.log(turn)] == [
                "started",
                "delta",
                "approval_required",
            ]
            assert await _decide(two, turn)
            await _ended(two, turn)


async def test_a_cancel_ends_what_waits_at_once(state: State) -> None:
    async with turn_cluster(state) as cluster:
        one, two = await _start(cluster)
        turn = await _waiting(one)
        there = Reader(one.chat.resume(one.call(), turn, 0, accepts_retractions=False))
        await there.until(3)
        view = await two.cancel(turn)
        assert (view.turn.state, view.turn.reason) == (TurnState.FINISHED, EndReason.CANCELLED)
        read = await there.end()
        assert read.kinds[-1] == "Finished"
        assert not await _decide(one, turn)


async def test_a_cancel_that_came_first_keeps_it_from_waiting(state: State) -> None:
    async def dawdles(
        call: Call, request: ChatRequest, run: Run, previous: TurnFailure | None
    ) -> EndReason | Paused:
        await run.emit(Started(run.turn.id, 1, "v", ""))
        await run.emit(Text("a"))
        await asyncio.sleep(0.4)
        await _note(state, run.turn.id, cancel=EndReason.CANCELLED)
        required = ApprovalRequired("approval-1", "", "", run.turn.created_at)
        return await run.pause(Wait(required, run.transcript, lambda _: None))

    async with turn_cluster(state) as cluster:
        (one,) = await _start(cluster, 1)
        call = one.call()
        reader = Reader(one.turns.stream(call, a_request(), dawdles), call)
        read = await reader.end()
        assert read.kinds == ["Started", "Text", "Finished"]
        assert (await one.row(read.turn)).reason is EndReason.CANCELLED


async def test_what_was_spent_before_is_booked_as_it_begins_to_wait(state: State) -> None:
    """And what is known later of it replaces the estimate, once."""
    model = a_model()

    async def spends(
        call: Call, request: ChatRequest, run: Run, previous: TurnFailure | None
    ) -> EndReason | Paused:
        turn = run.turn
        await run.emit(Started(turn.id, turn.run, "v", ""))
        begun.append(await attempts.begin(_unit(turn), model.deployment, 10, 5))
        await run.emit(Text("Well, "))
        expires = turn.created_at + timedelta(seconds=DAY)
        required = ApprovalRequired("approval-1", "call-1", "it costs money", expires)
        return await run.pause(Wait(required, run.transcript, lambda _: model.deployment))

    async def spends_more(run: Run) -> EndReason:
        attempt = await attempts.begin(_unit(run.turn), model.deployment, 20, 5)
        used = replace(attempt, used=TokenUsage(20, 2))
        await attempts.end(used, _unit(run.turn), model.deployment)
        return EndReason.STOP

    attempts, begun = Attempts(state), list[Attempt]()
    async with turn_cluster(state, [model]) as cluster:
        one = await cluster.start(go_on=spends_more)
        call = one.call()
        with reading(one.turns.stream(call, a_request(), spends), call) as reader:
            await reader.until(3)
            turn = reader.read.turn
        (line,) = await one.ledger(turn)
        assert (line.usage, line.estimated) == (TokenUsage(10, 2), True)
        assert all(attempt.booked for attempt in await one.attempts(turn))
        row = await one.row(turn)
        await attempts.end(replace(begun[0], used=TokenUsage(10, 3)), _unit(row), model.deployment)
        assert await _decide(one, turn)
        await _ended(one, turn)
        lines = await one.ledger(turn)
        assert [(each.attempt, each.usage, each.estimated) for each in lines] == [
            (1, TokenUsage(10, 3), False),
            (2, TokenUsage(20, 2), False),
        ]
        view = await one.get(turn)
        assert view.transcript.finished is not None
        assert view.transcript.finished.usage == TokenUsage(30, 5)


def _unit(turn: Turn) -> SpendingUnit:
    return SpendingUnit(turn.id, turn.tenant, turn.user, "", turn.run, turn.epoch)


async def test_its_branch_stays_busy(state: State) -> None:
    async with turn_cluster(state) as cluster:
        one, two = await _start(cluster)
        talk = await one.converse()
        turn = await _waiting(
            one, a_request(conversation=talk, parent_message=ROOT, request_id="r1")
        )
        busy = await two.ask(a_request("again", conversation=talk, parent_message=ROOT))
        assert busy.error is not None
        assert (busy.error.reason, busy.error.metadata["turn_id"]) == (Reason.BRANCH_BUSY, turn)
        assert await _decide(two, turn)
        await _ended(two, turn)
        said = await one.said(talk)
        assert [m.message.text for m in said] == ["Hi", "I would like to (APPROVED)"]


async def test_the_same_request_attaches_to_what_waits(state: State) -> None:
    async with turn_cluster(state) as cluster:
        one, two = await _start(cluster)
        turn = await _waiting(one)
        call = two.call()
        again = Reader(two.turns.stream(call, a_request(request_id="r1"), asks), call)
        await again.until(3)
        assert await _decide(one, turn)
        assert (await again.end()).text == "I would like to (APPROVED)"


async def test_one_that_dies_after_it_was_woken_is_interrupted(state: State) -> None:
    async def hangs(run: Run) -> EndReason:
        await asyncio.Event().wait()
        return EndReason.STOP

    async with turn_cluster(state) as cluster:
        one = await cluster.start(go_on=hangs)
        two = await cluster.start(go_on=goes_on)
        await asyncio.sleep(6.1)
        turn = await _waiting(one)
        assert await _decide(one, turn)
        await asyncio.sleep(1)
        cluster.kill(one)
        row = await _ended(two, turn)
        assert (row.reason, row.epoch) == (EndReason.INTERRUPTED, 3)


async def test_a_full_replica_leaves_it_to_the_next(state: State) -> None:
    async with turn_cluster(state) as cluster:
        one = await cluster.start(go_on=goes_on)
        full = await cluster.start(go_on=goes_on, limits=TurnLimits(turns=0))
        turn = await _waiting(one)
        assert await _decide(full, turn)
        await asyncio.sleep(1.3)
        row = await _ended(one, turn)
        assert row.owner == one.turns._replica.boot
