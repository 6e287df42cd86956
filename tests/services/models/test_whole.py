"""An answer that nobody reads before its end may come in one piece, where that loses nothing."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from core.catalog import Limits
from core.generation import ModelError, ModelErrorKind
from core.identifiers import Seconds
from fakes.gateway_node import gateway_node
from fakes.language_model import Fail, ScriptedModel, Wait, script
from fakes.turn_node import a_model

DOWN = ModelError(ModelErrorKind.OVERLOADED, "too many cooks")


def asked_whole(model: ScriptedModel) -> list[bool]:
    return [call.request.whole for call in model.calls]


async def test_the_only_one_may_answer_in_one_piece() -> None:
    only = a_model(script("The fox"), script("The fox"), name="only")
    node = gateway_node(only)
    assert (await node.hear(whole=True)).text == "The fox"
    assert (await node.hear(node.order(unit=replace(node.order().unit, id="gen-2")))).text
    assert asked_whole(only) == [True, False]


async def test_one_streams_while_another_could_be_asked_in_its_place() -> None:
    first = a_model(script(Fail(DOWN)), name="first", price="1")
    last = a_model(script("a fox"), name="last", price="2")
    assert (await gateway_node(first, last).hear(whole=True)).text == "a fox"
    assert (asked_whole(first), asked_whole(last)) == ([False], [True])


async def test_one_whose_silence_is_bounded_streams() -> None:
    only = a_model(script("a fox"), name="only", limits=Limits(first_token=Seconds(1.0)))
    assert (await gateway_node(only).hear(whole=True)).text == "a fox"
    assert asked_whole(only) == [False]


async def test_how_long_it_took_is_no_time_to_a_first_token() -> None:
    only = a_model(script(Wait(5.0), "a fox"), name="only")
    node = gateway_node(only)
    await node.hear(whole=True)
    await asyncio.sleep(0)
    assert node.lanes.of(only.deployment).load.first_token is None
