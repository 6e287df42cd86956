"""Text that follows other text goes out with a common tick, and waits for one only."""

from __future__ import annotations

import asyncio

from core.identifiers import Seconds
from core.turns.events import Text
from fakes.language_model import Say, ScriptedModel, Wait, script
from fakes.state import FakeState
from fakes.turn_node import TurnNode, a_request, turn_node
from fakes.turn_readers import Read
from services.turns.timings import TurnTimings

PIECES, PACE, TICK = 64, 0.01, 0.02


def a_model_with_a_pace() -> ScriptedModel:
    """A piece is there every 10 ms, whenever it is asked for: it says when."""
    loop = asyncio.get_running_loop()
    began = loop.time()

    async def until(at: float) -> None:
        await asyncio.sleep(began + at - loop.time())

    steps = [(Wait(PACE * (n + 1)), Say(f"{PACE * (n + 1):.2f} ")) for n in range(PIECES)]
    return ScriptedModel(script(*(step for pair in steps for step in pair)), sleep=until)


async def streamed(node: TurnNode) -> list[tuple[float, Read]]:
    """What came, and when."""
    loop = asyncio.get_running_loop()
    return [(loop.time(), Read([batch])) async for batch in node.stream(a_request())]


def texts(came: list[tuple[float, Read]]) -> list[tuple[float, list[float]]]:
    """When text came, and when its pieces had been there."""
    said = [(at, "".join(e.text for e in read.events if isinstance(e, Text))) for at, read in came]
    return [(at, [float(piece) for piece in text.split()]) for at, text in said if text]


async def test_pieces_of_a_tick_are_one_event_and_none_waits_for_two(fake: FakeState) -> None:
    async with turn_node(fake, [a_model_with_a_pace()]) as node:
        began = asyncio.get_running_loop().time()
        came = texts(await streamed(node))
    assert sum(len(pieces) for _, pieces in came) == PIECES
    assert len(came) <= PIECES / 2 + 3
    waited = [at - began - there for at, pieces in came for there in pieces]
    assert max(waited) < TICK + 0.005


async def test_all_turns_go_with_the_same_tick(fake: FakeState) -> None:
    async with turn_node(fake, [a_model_with_a_pace()]) as node:

        async def later(pause: float) -> list[tuple[float, list[float]]]:
            await asyncio.sleep(pause)
            return texts(await streamed(node))

        one, other = await asyncio.gather(later(0.0), later(0.117))
    together = {at for at, _ in one} & {at for at, _ in other}
    assert len(together) >= len(other) - 4


async def test_the_end_comes_with_the_last_text(fake: FakeState) -> None:
    """Though others wait for the next tick: what ends at one is settled with it."""
    async with turn_node(fake, [a_model_with_a_pace()]) as node:
        one, other = await asyncio.gather(streamed(node), streamed(node))
    for came in (one, other):
        (last_text, _), ended = texts(came)[-1], came[-1][0]
        assert ended - last_text < TICK / 2


async def test_without_a_tick_each_piece_goes_as_it_comes(fake: FakeState) -> None:
    timings = TurnTimings(tick=Seconds(0.0), gap=Seconds(0.0))
    async with turn_node(fake, [a_model_with_a_pace()], timings=timings) as node:
        assert len(texts(await streamed(node))) == PIECES
