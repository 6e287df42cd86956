"""A turn that failed with nothing to show runs again under its id; no other does."""

from __future__ import annotations

import asyncio

import pytest

from core.errors import BranchBusy, Reason
from core.generation import ModelError, ModelErrorKind
from core.identifiers import RequestId, TurnId
from core.ports.state import State
from core.turns.events import Finished, Started
from core.turns.rows import EndReason, TurnState
from fakes.language_model import Fail, Hang, Wait, script, words
from fakes.state import CommitFault, FakeState
from fakes.turn_node import a_model, a_request, turn_node
from fakes.turn_readers import Reader, reading

DOWN = ModelError(ModelErrorKind.OVERLOADED, "too many cooks")
FAILS_ONCE = (script(Wait(0.1), Fail(DOWN)), words("a b c", pause=0.1))


async def test_a_turn_that_failed_before_any_text_runs_again(state: State) -> None:
    """Fault 5: attempt 1 fails after `started`; re-run; every reader sees 1 to n without gap."""
    model = a_model(*FAILS_ONCE)
    async with turn_node(state, [model]) as node:
        failed = await node.ask("Hi", request_id="r1")
        assert failed.kinds == ["Started"]
        assert failed.error is not None
        assert failed.error.metadata["rerunnable"] == "true"
        with reading(node.stream(a_request("Hi", request_id="r1"))) as again:
            await again.until(2)
            old = await node.resume(failed.turn, failed.numbers[-1])
            running = [
                Reader(node.chat.resume(node.call(), failed.turn, n, accepts_retractions=False))
                for n in range(4)
            ]
            new = await again.end()
        assert new.turn == failed.turn
        assert new.kinds == [
            "Started",
            "Started",
            "Text",
            "Text",
            "Text",
            "AttemptUsed",
            "Finished",
        ]
        assert new.numbers == list(range(1, 8))
        assert (old.numbers, old.encoded) == (new.numbers[1:], new.encoded[len(failed.encoded) :])
        for after, reader in enumerate(running):
            assert (await reader.end()).numbers == new.numbers[after:]
        for after in range(len(new.numbers) + 1):
            late = await node.resume(failed.turn, after)
            assert late.numbers == new.numbers[after:]


async def test_the_next_run_says_why_the_last_one_failed(state: State) -> None:
    async with turn_node(state, [a_model(*FAILS_ONCE)]) as node:
        failed = await node.ask("Hi", request_id="r1")
        again = await node.ask("Hi", request_id="r1")
        first, second = (event for event in again.events if isinstance(event, Started))
        assert (first.run, first.previous_error) == (1, None)
        assert second.run == 2
        assert second.previous_error is not None
        assert failed.error is not None
        assert second.previous_error.reason == failed.error.reason.value
        assert second.previous_error.message == failed.error.message
        assert again.text == "a b c"
        lines = await node.ledger(again.turn)
        assert [line.attempt for line in lines] == [1, 2]
        assert [line.estimated for line in lines] == [True, False]


async def test_the_log_has_one_end_and_it_is_last(state: State) -> None:
    """Fault 6: no `finished` in mid-log."""
    async with turn_node(state, [a_model(*FAILS_ONCE)]) as node:
        await node.ask("Hi", request_id="r1")
        again = await node.ask("Hi", request_id="r1")
        ends = [number for number, event in again.numbered if isinstance(event, Finished)]
        assert ends == [again.numbers[-1]]
        row = await node.row(again.turn)
        assert (row.state, row.run, row.epoch) == (TurnState.FINISHED, 2, 2)
        assert (row.error, row.rerunnable) == (None, False)


async def test_get_and_resume_and_cancel_never_run_it_again(state: State) -> None:
    model = a_model(script(Fail(DOWN)))
    async with turn_node(state, [model]) as node:
        failed = await node.ask("Hi", request_id="r1")
        resumed = await node.resume(failed.turn)
        assert resumed.error is not None
        assert resumed.error.reason is Reason.MODELS_UNAVAILABLE
        view = await node.get(failed.turn)
        assert (view.turn.state, view.turn.rerunnable) == (TurnState.FAILED, True)
        view = await node.cancel(failed.turn)
        assert view.turn.state is TurnState.FAILED
        assert len(model.calls) == 1
        assert (await node.ask("Hi", request_id="r1")).error is not None
        assert len(model.calls) == 2


async def test_fifty_equal_calls_run_a_failed_turn_again_once(state: State) -> None:
    model = a_model(*FAILS_ONCE)
    async with turn_node(state, [model]) as node:
        await node.ask("Hi", request_id="r1")
        reads = await asyncio.gather(*(node.ask("Hi", request_id="r1") for _ in range(50)))
        assert {read.encoded for read in reads} == {reads[0].encoded}
        assert reads[0].text == "a b c"
        assert len(model.calls) == 2


async def test_whoever_sends_again_the_moment_it_failed_is_served(state: State) -> None:
    """The next run may begin while the one before is still being cleared away."""
    model = a_model(script(Wait(0.1), Fail(DOWN)), script(Wait(0.1), Fail(DOWN)), script("Now."))
    async with turn_node(state, [model]) as node:

        async def until_it_works() -> str:
            while True:
                read = await node.ask("Hi", request_id="r1")
                if read.error is None:
                    return read.text

        assert set(await asyncio.gather(*(until_it_works() for _ in range(10)))) == {"Now."}
        assert len(model.calls) == 3


async def test_a_cancelled_turn_never_runs_again(state: State) -> None:
    """Fault 10: cancel with nothing released, then retry the id: no provider call."""
    model = a_model(script(Hang()), script("too late"))
    async with turn_node(state, [model]) as node:
        with reading(node.stream(a_request("Hi", request_id="r1"))) as reader:
            await reader.until(1)
            view = await node.chat.cancel(node.call(), TurnId(""), RequestId("r1"))
            read = await reader.end()
        assert read.kinds == ["Started", "Finished"]
        again = await node.ask("Hi", request_id="r1")
        assert again.encoded == read.encoded
        assert again.transcript.finished is not None
        assert again.transcript.finished.reason is EndReason.CANCELLED
        assert len(model.calls) == 1
        row = await node.row(view.turn.id)
        assert (row.state, row.rerunnable) == (TurnState.FINISHED, False)


async def test_a_branch_that_is_busy_does_not_burn_the_id(state: State) -> None:
    """Fault 12: A fails; B runs on the same parent; retry A: refused; after B, A runs again."""
    model = a_model(script(Fail(DOWN)), words("b b", pause=0.2), words("a a", pause=0.2))
    async with turn_node(state, [model]) as node:
        talk = await node.converse()
        a = a_request("A", conversation=talk, request_id="a")
        b = a_request("B", conversation=talk, request_id="b")
        assert (await node.ask(a)).error is not None
        with reading(node.stream(b)) as running:
            await running.until(1)
            busy = await node.ask(a)
            assert isinstance(busy.error, BranchBusy)
            await running.end()
        again = await node.ask(a)
        assert (again.text, again.error) == ("a a", None)
        roots = [m.message.text for m in await node.said(talk) if m.parent is None]
        assert roots == ["A", "B"]


async def test_the_reason_survives_a_lost_reply(fake: FakeState) -> None:
    async with turn_node(fake, [a_model(*FAILS_ONCE)]) as node:
        await node.ask("Hi", request_id="r1")
        fake.faults.fail_commits(CommitFault.REPLY_LOST, touching="turns")
        again = await node.ask("Hi", request_id="r1")
        assert again.text == "a b c"
        started = [event for event in again.events if isinstance(event, Started)]
        assert [event.run for event in started] == [1, 2]
        assert started[1].previous_error is not None


async def test_a_rerun_has_the_time_of_the_call_that_asks_for_it(state: State) -> None:
    model = a_model(script(Hang()), words("a b", pause=2))
    async with turn_node(state, [model]) as node:
        late = await node.ask("Hi", node.call(deadline=1), request_id="r1")
        assert late.error is not None
        assert late.error.reason is Reason.DEADLINE_EXCEEDED
        again = await node.ask("Hi", node.call(deadline=10), request_id="r1")
        assert again.text == "a b"


@pytest.mark.parametrize("runs", [3])
async def test_numbers_go_on_through_many_runs(state: State, runs: int) -> None:
    model = a_model(*[script(Fail(DOWN))] * runs, script("At last."))
    async with turn_node(state, [model]) as node:
        for _ in range(runs):
            assert (await node.ask("Hi", request_id="r1")).error is not None
        read = await node.ask("Hi", request_id="r1")
        assert read.kinds == ["Started"] * (runs + 1) + ["Text", "AttemptUsed", "Finished"]
        assert read.numbers == list(range(1, runs + 5))
        assert [line.attempt for line in await node.ledger(read.turn)] == [1, 2, 3, 4]
