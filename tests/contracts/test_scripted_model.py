"""The scripted model does exactly what its script says; other tests build on that."""

from __future__ import annotations

import asyncio

import pytest

from core.generation import (
    AnswerOrigin,
    GenerationOptions,
    GenerationRequest,
    ModelError,
    ModelErrorKind,
    ModelEvent,
    ModelFinished,
    ReasoningDelta,
    RefusalDelta,
    StopCause,
    TextDelta,
    TokenUsage,
    ToolCallDelta,
)
from core.identifiers import Seconds
from core.messages import Message, Role
from fakes.language_model import (
    Decline,
    Fail,
    Finish,
    Hang,
    Meet,
    Outcome,
    Propose,
    ScriptedModel,
    Tell,
    Think,
    Wait,
    script,
    words,
)

QUESTION = GenerationRequest((Message.of(Role.USER, "one two three"),))
BROKEN = ModelError(ModelErrorKind.OVERLOADED, "broken")


async def read(model: ScriptedModel, request: GenerationRequest = QUESTION) -> list[ModelEvent]:
    return [event async for event in model.stream(request, timeout=Seconds(5))]


async def test_scripts_are_played_in_turn_and_the_last_again() -> None:
    model = ScriptedModel(script("a"), script(Think("b"), Decline("c"), Finish(StopCause.LENGTH)))
    first, second, third = [await read(model) for _ in range(3)]
    assert first == [TextDelta("a"), ModelFinished(StopCause.STOP, TokenUsage(7, 1, 0, 0))]
    assert second[:2] == [ReasoningDelta("b"), RefusalDelta("c")]
    assert second[2] == ModelFinished(StopCause.LENGTH, TokenUsage(7, 2, 0, 1))
    assert third == second
    assert [call.outcome for call in model.calls] == [Outcome.FINISHED] * 3
    assert model.calls[0].text == "a"


async def test_a_failure_comes_where_it_stands() -> None:
    model = ScriptedModel(script("half", Fail(BROKEN)))
    stream = model.stream(QUESTION, timeout=Seconds(5))
    assert await anext(stream) == TextDelta("half")
    with pytest.raises(ModelError, match="broken"):
        await anext(stream)
    assert model.calls[0].outcome is Outcome.FAILED


async def test_a_broken_model_fails_until_it_is_mended() -> None:
    model = ScriptedModel()
    model.broken = BROKEN
    with pytest.raises(ModelError, match="broken"):
        await read(model)
    model.broken = None
    assert await read(model)


async def test_waiting_uses_the_sleep_that_was_handed_in() -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    model = ScriptedModel(words("so it goes", pause=3.5), sleep=sleep)
    events = await read(model)
    assert "".join(e.text for e in events if isinstance(e, TextDelta)) == "so it goes"
    assert slept == [3.5] * 3


async def test_a_meeting_holds_the_model_where_the_test_wants_it() -> None:
    reached, go_on = asyncio.Event(), asyncio.Event()
    model = ScriptedModel(script("a", Meet(reached, go_on), "b"))
    reading = asyncio.create_task(read(model))
    await reached.wait()
    assert model.calls[0].text == "a"
    go_on.set()
    await reading
    assert model.calls[0].text == "ab"


async def test_a_reader_that_leaves_is_written_down() -> None:
    model = ScriptedModel(script("a", Hang()))
    stream = model.stream(QUESTION, timeout=Seconds(5))
    await anext(stream)
    assert model.running == 1
    await stream.aclose()
    assert model.running == 0
    assert model.calls[0].outcome is Outcome.STOPPED


async def test_slots_and_the_limit_of_tokens_are_kept() -> None:
    model = ScriptedModel(script(*"abcdef"), slots=1)
    short = GenerationRequest(QUESTION.messages, GenerationOptions(max_output_tokens=2))
    one, two = await asyncio.gather(read(model, short), read(model, short))
    assert (
        one
        == two
        == [
            TextDelta("a"),
            TextDelta("b"),
            ModelFinished(StopCause.LENGTH, TokenUsage(7, 2, 0, 0)),
        ]
    )


async def test_a_script_can_depend_on_the_request() -> None:
    model = ScriptedModel(
        script("early"), choose=lambda request: script(request.messages[-1].text.upper(), Wait(0))
    )
    assert (await read(model))[0] == TextDelta("ONE TWO THREE")


async def test_calls_and_what_is_no_token_are_told() -> None:
    origin = AnswerOrigin("resp_1", "served-model")
    steps = (Tell(origin), Propose("", 0, "call_1", "add"), Propose("{}", 0))
    model = ScriptedModel(script(*steps))
    events = [event async for event in model.stream(QUESTION, timeout=Seconds(5))]
    assert events[:3] == [origin, ToolCallDelta(0, "call_1", "add"), ToolCallDelta(0, "", "", "{}")]
    assert isinstance(events[-1], ModelFinished)
    assert events[-1].cause is StopCause.TOOL_CALLS
    assert events[-1].usage.completion == 2
