"""How a turn is stopped: cancelled, abandoned, out of time; and what it then says and costs."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from core.errors import Reason
from core.generation import TokenUsage
from core.identifiers import Seconds, TurnId
from core.ports.state import State
from core.turns.rows import EndReason, TurnState
from fakes.language_model import Hang, Meet, Outcome, Step, Wait, script, words
from fakes.state import FakeState
from fakes.turn_node import ACME, TurnNode, a_model, a_request, turn_node
from fakes.turn_readers import Reader, reading

LONG = words("one two three four five six seven eight nine ten", pause=0.2)


async def test_a_cancel_stops_the_provider_and_books_what_was_used(state: State) -> None:
    """Fault 11: cancel while it runs: CANCELLED, provider stopped within a second."""
    model = a_model(LONG)
    async with turn_node(state, [model]) as node:
        talk = await node.converse()
        with reading(node.stream(a_request("count", conversation=talk))) as reader:
            await reader.until(3)
            began = node.clock.monotonic()
            await node.cancel(await _turn_of(reader))
            read = await reader.end()
        assert node.clock.monotonic() - began < 0.3
        assert read.transcript.finished is not None
        assert read.transcript.finished.reason is EndReason.CANCELLED
        assert read.transcript.finished.estimated
        assert model.calls[0].outcome is Outcome.STOPPED
        (line,) = await node.ledger(read.turn)
        assert line.estimated
        assert line.usage == TokenUsage(11, -(-len(read.text) // 3))
        answer = (await node.said(talk))[-1]
        assert (answer.message.text, answer.partial) == (read.text, True)


async def test_a_cancel_stops_a_provider_that_has_said_nothing_yet(state: State) -> None:
    model = a_model(script(Hang()))
    async with turn_node(state, [model]) as node:
        with reading(node.stream(a_request())) as reader:
            turn = await _turn_of(reader)
            began = node.clock.monotonic()
            await node.cancel(turn)
            read = await reader.end()
        assert node.clock.monotonic() - began < 0.3
        assert model.running == 0
        assert read.kinds == ["Started", "Finished"]
        (line,) = await node.ledger(turn)
        assert (line.usage, line.estimated) == (TokenUsage(11, 0), True)


async def test_a_provider_that_is_slow_to_stop_does_not_hold_up_the_end(state: State) -> None:
    model = a_model(script("a", Hang(stubborn=3.0)))
    async with turn_node(state, [model]) as node:
        with reading(node.stream(a_request())) as reader:
            await reader.until(2)
            began = node.clock.monotonic()
            await node.cancel(await _turn_of(reader))
            read = await reader.end()
        assert node.clock.monotonic() - began < 1
        assert read.transcript.finished is not None
        await asyncio.sleep(4)
        assert model.running == 0
        (line,) = await node.ledger(read.turn)
        assert line.estimated


async def test_a_cancel_that_committed_first_beats_a_finish(fake: FakeState) -> None:
    """Fault 11: cancel, then finish, with the cancel committed first."""
    meet = Meet(asyncio.Event(), asyncio.Event())
    async with turn_node(fake, [a_model(script("a", meet, "b"))]) as node:
        with reading(node.stream(a_request())) as reader:
            turn = (await reader.until(2)).turn
            fake.faults.hold_commits(touching="turns")
            cancelling = asyncio.create_task(node.cancel(turn))
            await fake.faults.wait_until_held()
            meet.go_on.set()
            await asyncio.sleep(0.1)  # the model has finished, and its turn is to be settled
            fake.faults.release_commits()
            await cancelling
            read = await reader.end()
        assert read.text == "ab"
        assert read.transcript.finished is not None
        assert read.transcript.finished.reason is EndReason.CANCELLED


async def test_a_finish_that_committed_first_stands(fake: FakeState) -> None:
    async with turn_node(fake, [a_model(script("a", Wait(0.1), "b"))]) as node:
        with reading(node.stream(a_request())) as reader:
            turn = await _turn_of(reader)
            fake.faults.hold_commits(touching="executions")
            await fake.faults.wait_until_held()  # the finish is on its way, and not yet there
            cancelling = asyncio.create_task(node.cancel(turn))
            await asyncio.sleep(0.01)
            fake.faults.release_commits()
            read = await reader.end()
            view = await cancelling
        assert read.transcript.finished is not None
        assert read.transcript.finished.reason is EndReason.STOP
        assert view.turn.reason is EndReason.STOP


@pytest.mark.parametrize("silent", [0.0, 100.0])
async def test_a_cancel_whose_notice_is_lost_is_found_in_the_row(
    state: State, silent: float
) -> None:
    """Fault 11: with all notices lost; also of a run that has nothing to write."""
    steps: list[Step | str] = [Wait(0.1 + silent), "b"]
    model = a_model(script("a", *steps * 50))
    async with turn_node(state, [model]) as node:
        with reading(node.stream(a_request(), node.call(deadline=500))) as reader:
            turn = await _turn_of(reader)
            async with state.transaction(ACME) as tx:
                row = (await tx.turns.lock([turn]))[turn]
                tx.turns.update(replace(row, cancel=EndReason.CANCELLED))
            began = node.clock.monotonic()
            read = await reader.end()
        assert node.clock.monotonic() - began < 1
        assert model.running == 0
        assert read.transcript.finished is not None
        assert read.transcript.finished.reason is EndReason.CANCELLED


async def test_a_silent_run_keeps_its_lease(state: State) -> None:
    """A provider that reads a long prompt is not taken for dead, and its turn not for nobody's."""
    async with turn_node(state, [a_model(script(Wait(40), "a"))]) as node:
        with reading(node.stream(a_request())) as reader:
            turn = await _turn_of(reader)
            for _ in range(35):
                await asyncio.sleep(1)
                left = (await node.row(turn)).lease_until - node.clock.now()
                assert left.total_seconds() > 4
                assert (await node.get(turn)).turn.state is TurnState.RUNNING
            assert (await reader.end()).text == "a"
        assert (await node.row(turn)).epoch == 1


async def test_a_silent_run_learns_that_another_has_its_turn(state: State) -> None:
    model = a_model(script(Hang()))
    async with turn_node(state, [model]) as node:
        with reading(node.stream(a_request())) as reader:
            turn = await _turn_of(reader)
            async with state.transaction(ACME) as tx:
                row = (await tx.turns.lock([turn]))[turn]
                tx.turns.update(replace(row, epoch=2))
            await asyncio.sleep(0.8)
            assert model.running == 0
            read = await reader.end()  # the lease of the other, who is silent, runs out
        assert read.error is not None
        assert read.error.reason is Reason.TURN_INTERRUPTED


async def test_whom_nobody_reads_is_abandoned_after_its_linger(state: State) -> None:
    model = a_model(LONG)
    async with turn_node(state, [model]) as node:
        with reading(node.stream(a_request(linger=Seconds(1.0), request_id="r1"))) as reader:
            await reader.until(2)
            turn = await _turn_of(reader)
        left = node.clock.monotonic()
        await _ended(node, turn)
        assert node.clock.monotonic() - left == pytest.approx(1.0, abs=0.3)
        assert model.calls[0].outcome is Outcome.STOPPED
        row = await node.row(turn)
        assert (row.state, row.reason) == (TurnState.FINISHED, EndReason.ABANDONED)
        again = await node.ask(a_request(linger=Seconds(1.0), request_id="r1"))
        assert again.transcript.finished is not None
        assert again.transcript.finished.reason is EndReason.ABANDONED
        assert len(model.calls) == 1


async def test_abandoned_before_any_text_it_may_run_again(state: State) -> None:
    model = a_model(script(Hang()), script("Here."))
    async with turn_node(state, [model]) as node:
        with reading(node.stream(a_request(request_id="r1"))) as reader:
            turn = await _turn_of(reader)
        await _ended(node, turn)
        row = await node.row(turn)
        assert (row.state, row.reason, row.rerunnable) == (
            TurnState.FAILED,
            EndReason.ABANDONED,
            True,
        )
        told = await node.resume(turn)
        assert told.error is not None
        assert told.error.reason is Reason.TURN_ABANDONED
        assert (await node.ask(a_request(request_id="r1"))).text == "Here."


async def test_one_who_comes_within_the_linger_keeps_it_alive(state: State) -> None:
    async with turn_node(state, [a_model(LONG)]) as node:
        with reading(node.stream(a_request(linger=Seconds(1.0)))) as reader:
            before = await reader.until(3)
            turn = await _turn_of(reader)
        await asyncio.sleep(0.8)
        rest = await node.resume(turn, before.numbers[-1])
        assert before.text + rest.text == "one two three four five six seven eight nine ten"
        assert rest.numbers[0] == before.numbers[-1] + 1


async def test_two_readers_one_leaves_the_other_reads_on(state: State) -> None:
    async with turn_node(state, [a_model(LONG)]) as node:
        with reading(node.stream(a_request())) as stays:
            turn = await _turn_of(stays)
            with reading(node.chat.resume(node.call(), turn, 0, accepts_retractions=False)) as goes:
                await goes.until(2)
            read = await stays.end()
        assert read.text.endswith("nine ten")


@pytest.mark.parametrize("linger", [0.0, 0.1])
async def test_a_short_linger_does_not_end_it_before_it_is_read(
    state: State, linger: float
) -> None:
    async with turn_node(state, [a_model(LONG)]) as node:
        read = await node.ask(a_request(linger=Seconds(linger)))
        assert read.text.endswith("nine ten")


async def test_one_who_comes_as_it_is_being_abandoned_gets_it_run_again(state: State) -> None:
    """Reader 6: attached to a run that is being abandoned; it ends, and is claimed again, once."""
    model = a_model(script(Hang(stubborn=0.1)), script("Here."))
    async with turn_node(state, [model]) as node:
        request = a_request(linger=Seconds(0.5), request_id="r1")
        with reading(node.stream(request)) as reader:
            await _turn_of(reader)
        await asyncio.sleep(0.55)  # the decision has fallen, the model is slow to stop
        assert model.running == 1
        read = await node.ask(request)
        assert (read.text, read.error) == ("Here.", None)
        assert read.numbers == list(range(1, len(read.numbers) + 1))
        assert read.kinds == ["Started", "Started", "Text", "AttemptUsed", "Finished"]


async def test_a_detached_turn_goes_on_alone(state: State) -> None:
    async with turn_node(state, [a_model(LONG)]) as node:
        with reading(node.stream(a_request(detach=True))) as reader:
            await reader.until(1)
            turn = await _turn_of(reader)
        await asyncio.sleep(5)
        view = await node.get(turn)
        assert view.turn.reason is EndReason.STOP
        assert view.transcript.text.endswith("nine ten")


async def test_a_second_call_may_detach_it(state: State) -> None:
    async with turn_node(state, [a_model(LONG)]) as node:
        with reading(node.stream(a_request(request_id="r1"))) as reader:
            await reader.until(1)
            with reading(node.stream(a_request(request_id="r1", detach=True))) as other:
                await other.until(1)
            turn = await _turn_of(reader)
        await asyncio.sleep(5)
        row = await node.row(turn)
        assert (row.reason, row.detach) == (EndReason.STOP, True)


async def test_the_callers_deadline_ends_the_turn(state: State) -> None:
    model = a_model(LONG)
    async with turn_node(state, [model]) as node:
        read = await node.ask(a_request(), node.call(deadline=0.7))
        assert read.error is not None
        assert read.error.reason is Reason.DEADLINE_EXCEEDED
        assert read.error.metadata["rerunnable"] == "false"
        assert read.text == "one two three "
        assert model.running == 0
        row = await node.row(read.turn)
        assert (row.state, row.reason) == (TurnState.FAILED, EndReason.DEADLINE)
        assert len(await node.ledger(read.turn)) == 1


async def test_a_detached_turn_does_not_end_with_its_callers_deadline(state: State) -> None:
    async with turn_node(state, [a_model(LONG)]) as node:
        call = node.call(deadline=0.7)
        with reading(node.stream(a_request(detach=True), call)) as reader:
            await asyncio.sleep(0.7)  # the transport ends the call at its deadline
            assert len(reader.read.numbers) > 2
        await asyncio.sleep(5)
        assert (await node.row(call.facts.turn_id)).reason is EndReason.STOP


async def test_a_detached_turn_has_a_time_limit_of_its_own(state: State) -> None:
    async with turn_node(state, [a_model(LONG)]) as node:
        read = await node.ask(a_request(detach=True, turn_timeout=Seconds(0.5)))
        assert read.error is not None
        assert read.error.reason is Reason.DEADLINE_EXCEEDED
        assert read.text == "one two "


async def test_a_deadline_of_one_millisecond_ends_with_a_settled_turn(state: State) -> None:
    async with turn_node(state, [a_model(LONG)]) as node:
        read = await node.ask(a_request(request_id="r1"), node.call(deadline=0.001))
        assert read.error is not None
        assert read.error.reason is Reason.DEADLINE_EXCEEDED
        assert (await node.row(read.turn)).state is TurnState.FAILED
        assert (await node.ask(a_request(request_id="r1"))).text.startswith("one")


@pytest.mark.parametrize("stubborn", [0.0, 30.0])
async def test_a_provider_that_hangs_for_ever_ends_at_the_deadline(
    state: State, stubborn: float
) -> None:
    """Fault 18: and though it does not even stop when told to."""
    model = a_model(script(Hang(stubborn=stubborn)))
    async with turn_node(state, [model]) as node:
        began = node.clock.monotonic()
        read = await node.ask(a_request(), node.call(deadline=3))
        assert read.error is not None
        assert read.error.reason is Reason.DEADLINE_EXCEEDED
        assert node.clock.monotonic() - began == pytest.approx(3, abs=0.5)
        await asyncio.sleep(30)


async def test_the_models_own_time_limit_is_told_as_the_deadline(state: State) -> None:
    """The model has the time that the turn has; whichever alarm rings first, it is the deadline."""
    for deadline in (0.3, 0.30001, 0.29999, 0.5):
        async with turn_node(state, [a_model(script(Hang()))]) as node:
            read = await node.ask(a_request(), node.call(deadline=deadline))
            assert read.error is not None
            assert read.error.reason is Reason.DEADLINE_EXCEEDED


async def test_cancelling_twice_and_after_the_end_changes_nothing(state: State) -> None:
    async with turn_node(state, [a_model(LONG)]) as node:
        with reading(node.stream(a_request())) as reader:
            turn = await _turn_of(reader)
            await asyncio.gather(*(node.cancel(turn) for _ in range(5)))
            read = await reader.end()
        view = await node.cancel(turn)
        assert view.turn.reason is EndReason.CANCELLED
        assert (await node.resume(turn)).encoded == read.encoded
        assert len(await node.ledger(turn)) == 1


async def test_a_cancel_does_not_undo_an_end(state: State) -> None:
    async with turn_node(state, [a_model(script("a"))]) as node:
        read = await node.ask(a_request())
        view = await node.cancel(read.turn)
        assert (view.turn.reason, view.turn.cancel) == (EndReason.STOP, None)


async def _turn_of(reader: Reader) -> TurnId:
    return (await reader.until(1)).turn


async def _ended(node: TurnNode, turn: TurnId) -> None:
    """Wait for the end without being a reader."""
    while not (await node.row(turn)).state.ended:  # noqa: ASYNC110 - time is virtual
        await asyncio.sleep(0.01)
