"""A bug in one turn's way: its own end, and nobody else's."""

from __future__ import annotations

import asyncio

import pytest

from adapters.grpc.codec import ProtobufCodec
from core.errors import Reason
from core.identifiers import Seconds
from core.ports.state import State
from core.turns.events import Text, TurnEvent
from core.turns.rows import EndReason, TurnState
from fakes.language_model import script, words
from fakes.turn_node import a_model, a_request, turn_node
from fakes.turn_readers import reading
from services.turns.settlement import Settlement
from services.turns.timings import TurnTimings

TALE = words("a b c", pause=0.5)


async def test_one_event_that_cannot_be_encoded_ends_one_turn(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode = ProtobufCodec.encode

    def fussy(self: ProtobufCodec, sequence: int, event: TurnEvent) -> bytes:
        if isinstance(event, Text) and "cursed" in event.text:
            raise ValueError("what is that")
        return encode(self, sequence, event)

    monkeypatch.setattr(ProtobufCodec, "encode", fussy)
    model = a_model(TALE)
    cursed = a_model(words("a cursed c", pause=0.5), name="cursed")
    async with turn_node(state, [model, cursed]) as node:
        good = asyncio.gather(*(node.ask("Hi", model="strong") for _ in range(5)))
        bad = await node.ask("Hi", model="cursed")
        assert {read.text for read in await good} == {"a b c"}
        assert bad.text == "a "
        assert bad.error is not None
        assert bad.error.reason is Reason.INTERNAL
        assert "what is that" not in str(bad.error)
        row = await node.row(bad.turn)
        assert (row.state, row.reason) == (TurnState.FAILED, EndReason.ERROR)
        assert cursed.running == 0
        assert len(await node.ledger(bad.turn)) == 1


async def test_one_turn_that_cannot_be_settled_does_not_fail_its_neighbours(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error in one turn's settlement splits the batch; a later reader settles it after all."""
    settle = Settlement.apply

    async def apply(self: Settlement, tx: object, row: object, writing: object) -> object:
        if getattr(row, "feature", "") == "cursed":
            raise ValueError("cannot be settled")
        return await settle(self, tx, row, writing)  # type: ignore[arg-type]

    async with turn_node(state, [a_model(TALE)]) as node:
        reported: list[str] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: reported.append(str(context["message"])))
        monkeypatch.setattr(Settlement, "apply", apply)
        features = ["cursed" if n == 3 else "" for n in range(8)]
        reads = [asyncio.create_task(node.ask("Hi", feature=feature)) for feature in features]
        done, going_on = await asyncio.wait(reads, timeout=3)
        assert {read.result().text for read in done} == {"a b c"}
        assert len(done) == 7
        monkeypatch.setattr(Settlement, "apply", settle)
        await asyncio.wait(going_on)
        (cursed,) = (read.result() for read in going_on)
        assert cursed.text in ("a b ", "a b c")  # what was to be committed with it is lost
        assert cursed.transcript.finished is not None
        assert cursed.transcript.finished.reason is EndReason.INTERRUPTED
        assert any("never retrieved" in message for message in reported)


async def test_a_producer_that_goes_on_after_its_end_is_not_heard(state: State) -> None:
    """What a provider still says while it is being stopped is in no log and in no answer."""
    timings = TurnTimings(tick=Seconds(0.5))
    async with turn_node(state, [a_model(script(*"abcdefgh"))], timings=timings) as node:
        with reading(node.stream(a_request(request_id="r1"))) as reader:
            turn = (await reader.until(1)).turn
            await node.cancel(turn)
            read = await reader.end()
        await asyncio.sleep(2)
        assert (await node.resume(turn)).encoded == read.encoded
        assert read.kinds[-1] == "Finished"
