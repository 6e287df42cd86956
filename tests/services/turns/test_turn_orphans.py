"""A process dies in mid-turn; what its next life makes of it."""

from __future__ import annotations

import asyncio

import pytest

from core.errors import Reason
from core.generation import ModelError, ModelErrorKind, TokenUsage
from core.ports.state import State
from core.turns.events import Finished
from core.turns.rows import EndReason, TurnState
from fakes.faulty_state import FaultyState
from fakes.language_model import Fail, Hang, Meet, Wait, script, words
from fakes.turn_node import a_model, a_request, open_node, turn_node
from fakes.turn_readers import Reader

TALE = words("one two three four five", pause=0.3)


async def test_what_was_released_is_kept_and_called_interrupted(state: State) -> None:
    mortal = FaultyState(state)
    killed = await open_node(mortal, [a_model(TALE)])
    talk = await killed.converse()
    reader = Reader(killed.stream(a_request("count", conversation=talk, request_id="r1")))
    seen = await reader.until(3)
    mortal.dead = True
    async with turn_node(state, boot="boot-2") as node:
        assert node.settled == 1
        view = await node.get(seen.turn, with_events=True)
        assert (view.turn.state, view.turn.reason) == (TurnState.FINISHED, EndReason.INTERRUPTED)
        assert view.encoded_events.startswith(seen.encoded)  # nothing that was seen is contradicted
        assert view.transcript.text == "one two "
        resumed = await node.resume(seen.turn, seen.numbers[-1])
        assert resumed.kinds == ["Finished"]
        again = await node.ask("count", conversation=talk, request_id="r1")
        assert again.encoded == view.encoded_events
        answer = (await node.said(talk))[-1]
        assert (answer.message.text, answer.partial) == ("one two ", True)
        assert (await node.conversation(talk)).head == answer.id
        (line,) = await node.ledger(seen.turn)
        assert (line.usage, line.estimated) == (TokenUsage(11, 3), True)
        following = await node.ask("go on", conversation=talk)  # the branch is free
        assert following.error is None


async def test_nothing_released_it_fails_and_may_run_again(state: State) -> None:
    """Fault 6: the owner dies with nothing released; the same id then runs again."""
    mortal = FaultyState(state)
    hanging = a_model(script(Hang()))
    killed = await open_node(mortal, [hanging])
    reader = Reader(killed.stream(a_request(request_id="r1")))
    seen = await reader.until(1)
    while not hanging.calls:  # noqa: ASYNC110 - a call is some commits away
        await asyncio.sleep(0.001)
    mortal.dead = True
    async with turn_node(state, [a_model(TALE)], boot="boot-2") as node:
        resumed = await node.resume(seen.turn, 0)
        assert resumed.encoded == seen.encoded
        assert resumed.error is not None
        assert resumed.error.reason is Reason.TURN_INTERRUPTED
        assert resumed.error.metadata["rerunnable"] == "true"
        again = await node.ask(a_request(request_id="r1"))
        assert again.kinds[:2] == ["Started", "Started"]
        assert again.text == "one two three four five"
        assert [number for number, e in again.numbered if isinstance(e, Finished)] == [
            again.numbers[-1]
        ]
        assert again.numbers == list(range(1, len(again.numbers) + 1))
        lines = await node.ledger(seen.turn)
        assert [(line.attempt, line.estimated) for line in lines] == [(1, True), (2, False)]


async def test_both_the_failed_call_and_its_fallback_are_booked(state: State) -> None:
    """Fault 21: a provider fails once, the fallback is running, kill: both are booked."""
    down = ModelError(ModelErrorKind.OVERLOADED, "down")
    first = a_model(script(Wait(0.1), Fail(down)), name="first", price="1")
    second = a_model(script("a", Hang()), name="second", price="2")
    mortal = FaultyState(state)
    killed = await open_node(mortal, [first, second])
    reader = Reader(killed.stream(a_request(request_id="r1")))
    seen = await reader.until(3)
    assert seen.kinds == ["Started", "Switched", "Text"]
    mortal.dead = True
    async with turn_node(state, [first, second], boot="boot-2") as node:
        lines = await node.ledger(seen.turn)
        assert [(line.attempt, line.deployment) for line in lines] == [(1, "first"), (2, "second")]
        assert [line.usage for line in lines] == [TokenUsage(11, 0), TokenUsage(11, 1)]
        assert all(line.estimated for line in lines)
        assert all(attempt.booked for attempt in await node.attempts(seen.turn))
        end = (await node.resume(seen.turn)).transcript.finished
        assert end is not None
        assert end.cost == sum(line.cost for line in lines if line.cost is not None)


@pytest.mark.parametrize("after", range(0, 60, 3))
async def test_killed_at_any_moment_nothing_seen_is_contradicted(state: State, after: int) -> None:
    """Fault 1, in one process: kill between any two steps; the next life tells the same story."""
    mortal = FaultyState(state)
    killed = await open_node(mortal, [a_model(script("a", "b", Wait(0.01), "c"))])
    talk = await killed.converse()
    reader = Reader(killed.stream(a_request("Hi", conversation=talk, request_id="r1")))
    for _ in range(after):
        await asyncio.sleep(0 if after < 30 else 0.0005)
    mortal.dead = True
    await asyncio.sleep(0.1)
    seen = reader.read
    async with turn_node(state, [a_model(script("x"))], boot="boot-2") as node:
        again = await node.ask("Hi", conversation=talk, request_id="r1")
        assert again.encoded.startswith(seen.encoded)
        assert again.numbers == list(range(1, len(again.numbers) + 1))
        assert again.kinds.count("Finished") == 1
        assert again.kinds[-1] == "Finished"
        messages = await node.said(talk)
        assert [m.message.text for m in messages] == ["Hi", again.text]
        lines = await node.ledger(again.turn)
        assert len({line.attempt for line in lines}) == len(lines)
        assert all(attempt.booked for attempt in await node.attempts(again.turn))


async def test_many_are_settled_at_start_up(state: State) -> None:
    mortal = FaultyState(state)
    killed = await open_node(mortal, [a_model(script(Hang()))])
    readers = [Reader(killed.stream(a_request(request_id=f"r{n}"))) for n in range(230)]
    await asyncio.gather(*(reader.until(1) for reader in readers))
    mortal.dead = True
    async with turn_node(state, boot="boot-2") as node:
        assert node.settled == 230
    async with turn_node(state, boot="boot-3") as node:
        assert node.settled == 0


async def test_the_dead_do_not_write(state: State) -> None:
    """Fault 3: a delta waits while the turn ends and runs again: it changes nothing."""
    meet = Meet(asyncio.Event(), asyncio.Event())
    async with turn_node(state, [a_model(script(meet, "late"))]) as paused:
        reader = Reader(paused.stream(a_request(request_id="r1")))
        seen = await reader.until(1)
        await meet.reached.wait()
        async with turn_node(state, [a_model(TALE)], boot="boot-2") as node:
            assert node.settled == 1
            again = await node.ask(a_request(request_id="r1"))
            meet.go_on.set()
            await asyncio.sleep(1)
            assert again.text == "one two three four five"
            assert (await node.resume(seen.turn)).encoded == again.encoded
            lines = await node.ledger(seen.turn)
            assert [line.attempt for line in lines] == [1, 2]
        end = await reader.end()
        assert (seen.encoded + b"")[
            : len(end.encoded)
        ] == end.encoded or end.encoded == again.encoded


async def test_usage_that_is_known_late_replaces_the_estimate(state: State) -> None:
    """Fault 2: what a stale runner has spent is booked with its true value, once."""
    meet = Meet(asyncio.Event(), asyncio.Event())
    async with turn_node(state, [a_model(script("a", meet, "b"))]) as paused:
        reader = Reader(paused.stream(a_request()))
        seen = await reader.until(2)
        await meet.reached.wait()
        async with turn_node(state, boot="boot-2") as node:
            assert node.settled == 1
            (estimate,) = await node.ledger(seen.turn)
            assert (estimate.usage, estimate.estimated) == (TokenUsage(11, 1), True)
            meet.go_on.set()
            await asyncio.sleep(1)
            (line,) = await node.ledger(seen.turn)
            assert (line.usage, line.estimated) == (TokenUsage(11, 2, 0, 0), False)
            assert (await node.resume(seen.turn)).text == "a"


async def test_a_stale_runner_calls_no_provider(state: State) -> None:
    """Fault 2: woken after another has its turn, it begins no attempt."""
    down = ModelError(ModelErrorKind.OVERLOADED, "down")
    meet = Meet(asyncio.Event(), asyncio.Event())
    first = a_model(script(meet, Fail(down)), name="b-first", price="1")
    second = a_model(script("x"), name="c-second", price="2")
    async with turn_node(state, [first, second]) as paused:
        reader = Reader(paused.stream(a_request()))
        seen = await reader.until(1)
        await meet.reached.wait()
        async with turn_node(state, boot="boot-2") as node:
            assert node.settled == 1
            meet.go_on.set()
            await asyncio.sleep(1)
            assert second.calls == []
            assert (await node.row(seen.turn)).state is TurnState.FAILED
        await reader.end()
