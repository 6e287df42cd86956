"""A crowd of callers, a store that fails at random, a process that dies: what holds.

Everything is drawn from the seed, on virtual time: a failure comes again with its number.
"""

from __future__ import annotations

import asyncio
import random

import pytest

from core.identifiers import TurnId
from core.turns.events import Finished, Started
from core.turns.rows import TurnState
from fakes.faulty_state import FaultyState
from fakes.language_model import ScriptedModel
from fakes.turn_crowd import IDS, Crowd, RestlessStore, a_restless_model
from fakes.turn_node import TurnNode, open_node, turn_node
from fakes.turn_readers import Read


@pytest.mark.parametrize("seed", range(30))
async def test_whatever_happens_the_story_holds(seed: int) -> None:
    draw = random.Random(seed)
    store = RestlessStore(draw)
    model = a_restless_model(draw)
    async with turn_node(store, [model]) as node:
        crowd = Crowd(node, draw, await node.converse())
        store.fault_rate = draw.choice([0.0, 0.05, 0.2])
        outages = asyncio.create_task(store.outages())
        await asyncio.gather(*(crowd.caller() for _ in range(20)))
        await outages
        await _holds(store, node, model, crowd.reads)
        if not store.was_away:  # else an attempt may be booked whose begin was never answered
            assert _called(store) == len(model.calls)


@pytest.mark.parametrize("seed", range(30))
async def test_whatever_happens_and_the_process_dies(seed: int) -> None:
    draw = random.Random(seed)
    store = RestlessStore(draw)
    model = a_restless_model(draw)
    mortal = FaultyState(store)
    killed = await open_node(mortal, [model])
    crowd = Crowd(killed, draw, await killed.converse())
    rate = store.fault_rate = draw.choice([0.0, 0.05])
    callers = [asyncio.create_task(crowd.caller()) for _ in range(20)]
    await asyncio.sleep(draw.random() * 6)
    mortal.dead = True
    for caller in callers:
        caller.cancel()
    store.fault_rate = 0.0  # a start-up that fails is tried again
    async with turn_node(store, [model], boot="boot-2") as node:
        store.fault_rate = rate
        crowd.node = node
        await asyncio.gather(*(crowd.caller() for _ in range(10)))
        await _holds(store, node, model, crowd.reads)


async def _holds(
    store: RestlessStore, node: TurnNode, model: ScriptedModel, reads: list[Read]
) -> None:
    """What is true of every turn once all has ended."""
    store.fault_rate = 0.0
    await asyncio.sleep(30)
    tables, logs = store.tables, dict[TurnId, bytes]()
    assert len(tables.idempotency) == len(tables.turns) <= len(IDS)
    for turn in list(tables.turns):
        await node.get(turn)  # who looks settles what nobody runs
        logs[turn] = await _log_of(node, turn)
        await _messages_hold(node, turn)
    for read in reads:
        if read.batches:  # a piece of the one log, without gap or repeat
            assert read.numbers == list(range(read.numbers[0], read.numbers[-1] + 1))
            assert any(read.encoded in log for log in logs.values())
    assert all(attempt.booked for attempt in store.tables.attempts.values())
    assert set(store.tables.ledger) == set(store.tables.attempts)
    assert model.running == 0


async def _log_of(node: TurnNode, turn: TurnId) -> bytes:
    row, log, read = await node.row(turn), await node.log(turn), await node.resume(turn)
    assert row.state.ended
    assert read.numbers == [event.seq for event in log] == list(range(1, row.next_seq))
    ends = [i for i, event in enumerate(read.events) if isinstance(event, Finished)]
    assert ends == ([len(log) - 1] if row.state is TurnState.FINISHED else [])
    runs = [event.run for event in read.events if isinstance(event, Started)]
    assert runs == sorted(set(runs))
    return read.encoded


async def _messages_hold(node: TurnNode, turn: TurnId) -> None:
    """In a conversation: one question, and its answer if any of it was released."""
    row, view = await node.row(turn), await node.get(turn)
    if row.conversation is None:
        return
    mine = [m for m in await node.said(row.conversation) if m.turn == turn]
    assert [m.id for m in mine if m.parent is None] == [row.user_message]
    answers = [m for m in mine if m.parent is not None]
    assert [m.message.text for m in answers] == [view.transcript.text] * len(answers)
    assert len(answers) == bool(view.transcript.text)


def _called(store: RestlessStore) -> int:
    attempts = store.tables.attempts.values()
    return sum(attempt.used is None or bool(attempt.used.prompt) for attempt in attempts)
