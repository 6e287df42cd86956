"""The same request again, on any replica: one turn, and what was done is not done again.

Faults 7, 8, 9, 10 and 12 of the list in test_faults.py.
"""

from __future__ import annotations

import asyncio

import pytest

from core.call import Call
from core.chat import ChatRequest
from core.errors import Reason
from core.generation import ModelError, ModelErrorKind
from core.identifiers import RequestId, Seconds, TurnId
from core.ports.state import State
from core.turns.events import Started
from core.turns.rows import EndReason, Turn, TurnFailure, TurnState
from fakes.language_model import Fail, Hang, Wait, script, words
from fakes.turn_cluster import LEASE, turn_cluster
from fakes.turn_node import ACME, TurnNode, a_model, a_request
from fakes.turn_readers import Read, Reader, read_all, reading
from services.turns.admission import TurnLimits
from services.turns.claims import ROOT
from services.turns.run import Run
from services.turns.timings import TurnTimings

DOWN = ModelError(ModelErrorKind.OVERLOADED, "down")
TALE = words("one two three four five", pause=0.3)
HOUR = 3600.0


@pytest.mark.parametrize("spread", [0.0, 0.004])
async def test_fault_07_the_first_of_fifty_equal_calls_is_refused(
    state: State, spread: float
) -> None:
    """The rest attach or are refused; nobody follows a turn that vanishes."""
    model = a_model(words("busy", pause=0.1), TALE)
    async with turn_cluster(state, [model]) as cluster:
        one = await cluster.start(limits=TurnLimits(turns=1))
        two = await cluster.start(limits=TurnLimits(turns=0))
        blocker = asyncio.create_task(one.ask("first", request_id="other"))
        await asyncio.sleep(0.01)

        async def late(n: int) -> Read:
            await asyncio.sleep(n * spread)
            return await (two if n % 5 == 4 else one).ask(a_request(request_id="r1"))

        reads = await asyncio.gather(*(late(n) for n in range(50)))
        await blocker
        assert reads[0].error is not None
        assert reads[0].error.reason is Reason.TOO_MANY_REQUESTS
        told = {(read.error.reason if read.error else None, read.text) for read in reads}
        served = {(None, "one two three four five")}
        refused = {(Reason.TOO_MANY_REQUESTS, "")}
        assert told == (refused | served if spread else refused)
        assert all(not read.batches for read in reads if read.error)
        turns = await _turns(state)
        assert len([row for row in turns if row.request_id == "r1"]) == (1 if spread else 0)
        assert all(row.state is TurnState.FINISHED for row in turns)


async def test_fault_08_chat_and_stream_chat_with_one_id(state: State) -> None:
    model = a_model(TALE)
    async with turn_cluster(state, [model]) as cluster:
        one, two = await cluster.start(), await cluster.start()
        request = a_request(request_id="r1")
        streamed, view = await asyncio.gather(
            one.ask(request), two.chat.answer(two.call(), request)
        )
        assert view.turn.id == streamed.turn
        assert view.transcript.text == streamed.text
        assert len(model.calls) == 1
        assert len(await _turns(state)) == 1


async def test_fault_08_an_id_whose_turn_runs_longer_than_ids_are_kept(state: State) -> None:
    timings = TurnTimings(id_retention=Seconds(20), log_retention=Seconds(20 + HOUR))
    model = a_model(script("a", Wait(50), "b"))
    async with turn_cluster(state, [model]) as cluster:
        one = await cluster.start(timings=timings)
        two = await cluster.start(timings=timings)
        reader = Reader(one.stream(a_request(request_id="r1"), one.call(deadline=100)))
        await reader.until(2)
        await asyncio.sleep(45)
        again = await two.ask(a_request(request_id="r1"), two.call(deadline=100))
        read = await reader.end()
        assert again.encoded == read.encoded
        assert len(model.calls) == 1


async def test_fault_09_a_tool_ran_and_the_turn_failed_before_any_text(state: State) -> None:
    tool = _Tool(then="fails")
    async with turn_cluster(state) as cluster:
        one, two = await cluster.start(), await cluster.start()
        failed = await _asked(one, tool)
        assert failed.kinds == ["Started"]
        assert failed.error is not None
        assert failed.error.metadata["rerunnable"] == "false"
        again = await _asked(two, tool)
        assert again.encoded == failed.encoded
        assert tool.ran == 1


@pytest.mark.parametrize("moment", ["between intent and tool", "after the tool"])
async def test_fault_09_killed_around_a_tool(state: State, moment: str) -> None:
    tool = _Tool(then="hangs", before=moment == "between intent and tool")
    async with turn_cluster(state) as cluster:
        one, two = await cluster.start_two()
        call = one.call()
        reader = Reader(one.turns.stream(call, a_request(request_id="r1"), tool.produce), call)
        turn = (await reader.until(1)).turn
        await tool.hanging.wait()
        cluster.kill(one)
        await asyncio.sleep(LEASE + 2.5)
        row = await two.row(turn)
        assert (row.state, row.reason) == (TurnState.FINISHED, EndReason.INTERRUPTED)
        ran = tool.ran
        again = await _asked(two, tool)
        assert again.kinds == ["Started", "Finished"]
        assert tool.ran == ran


async def test_fault_10_cancelled_with_nothing_released_then_sent_again(state: State) -> None:
    model = a_model(script(Hang()), script("too late"))
    async with turn_cluster(state, [model]) as cluster:
        one, two = await cluster.start(), await cluster.start()
        with reading(one.stream(a_request(request_id="r1"))) as reader:
            await reader.until(1)
            while not model.calls:  # noqa: ASYNC110 - time is virtual
                await asyncio.sleep(0.01)
            await two.chat.cancel(two.call(), TurnId(""), RequestId("r1"))
            read = await reader.end()
        row = await one.row(read.turn)
        assert (row.state, row.reason, row.rerunnable) == (
            TurnState.FINISHED,
            EndReason.CANCELLED,
            False,
        )
        for node in (one, two):
            again = await node.ask(a_request(request_id="r1"))
            assert again.encoded == read.encoded
        assert len(model.calls) == 1


async def test_fault_12_another_runs_on_the_parent_meanwhile(state: State) -> None:
    """A fails; B runs on the same parent; A again: refused, its id not burned; then it runs."""
    model = a_model(script(Fail(DOWN)), words("b b", pause=0.2), words("a a", pause=0.2))
    async with turn_cluster(state, [model]) as cluster:
        one, two = await cluster.start(), await cluster.start()
        talk = await one.converse()
        a = a_request("a", conversation=talk, parent_message=ROOT, request_id="a")
        b = a_request("b", conversation=talk, parent_message=ROOT, request_id="b")
        failed = await one.ask(a)
        running = Reader(two.stream(b))
        turn = (await running.until(2)).turn
        refused = await one.ask(a)
        assert refused.error is not None
        assert refused.error.reason is Reason.BRANCH_BUSY
        assert refused.error.metadata["turn_id"] == turn
        assert (await one.row(failed.turn)).rerunnable
        assert (await running.end()).text == "b b"
        again = await one.ask(a)
        assert (again.turn, again.text) == (failed.turn, "a a")


class _Tool:
    """A run that calls a tool before it says anything, and how often the tool ran."""

    def __init__(self, then: str, *, before: bool = False) -> None:
        self.ran = 0
        self.hanging = asyncio.Event()
        self._then = then
        self._before = before

    async def produce(
        self, call: Call, request: ChatRequest, run: Run, previous: TurnFailure | None
    ) -> EndReason:
        await run.emit(Started(run.turn.id, run.turn.run, "v", ""))
        await run.intend_tool()
        if self._before:
            await self._hang()
        self.ran += 1
        if self._then == "hangs":
            await self._hang()
        raise DOWN

    async def _hang(self) -> None:
        self.hanging.set()
        await asyncio.Event().wait()


async def _asked(node: TurnNode, tool: _Tool) -> Read:
    call = node.call()
    return await read_all(node.turns.stream(call, a_request(request_id="r1"), tool.produce), call)


async def _turns(state: State) -> list[Turn]:
    async with state.snapshot(ACME) as view:
        return list(await view.turns.list(frozenset(TurnState), 100, None))
