"""What every language model keeps, whoever makes it.

A subject is a model with requests that bring out what is to be shown, and a look at its other
side: how many answers are being made there.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, aclosing
from functools import partial

import pytest

from contracts.language_models import (
    Subject,
    extractive_subject,
    llama_cpp_subject,
    remote_subject,
    scripted_subject,
)
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
    ToolChoice,
)
from core.identifiers import Seconds
from core.messages import ImagePart, Message, Role, ToolResultPart
from core.ports.language_model import LanguageModel
from fakes.provider_models import PROVIDERS

SUBJECTS: dict[str, Callable[[], AbstractAsyncContextManager[Subject]]] = {
    "scripted": scripted_subject,
    "llama.cpp": llama_cpp_subject,
    **{name: partial(remote_subject, name) for name in PROVIDERS},
    "extractive": extractive_subject,
}

PLENTY = Seconds(60.0)
PIECES = TextDelta, RefusalDelta, ReasoningDelta


@pytest.fixture(params=SUBJECTS)
async def subject(request: pytest.FixtureRequest) -> AsyncIterator[Subject]:
    async with SUBJECTS[request.param]() as made:
        yield made


async def read(
    model: LanguageModel, request: GenerationRequest, timeout: Seconds = PLENTY
) -> list[ModelEvent]:
    async with aclosing(model.stream(request, timeout=timeout)) as events:
        return [event async for event in events]


async def settled(running: Callable[[], Awaitable[int]]) -> int:
    """How many answers are still being made, once that has had a second to sink in."""
    for _ in range(50):
        if not await running():
            break
        await asyncio.sleep(0.02)
    return await running()


class TestAnswer:
    async def test_the_finish_comes_last_and_once(self, subject: Subject) -> None:
        events = await read(subject.model, subject.short)
        assert events
        assert not any(isinstance(event, ModelFinished) for event in events[:-1])
        assert isinstance(events[-1], ModelFinished)
        assert any(isinstance(event, (TextDelta, RefusalDelta)) for event in events)

    async def test_who_answers_is_told_before_the_answer_or_not_at_all(
        self, subject: Subject
    ) -> None:
        events = await read(subject.model, subject.short)
        assert not any(isinstance(event, AnswerOrigin) for event in events[1:])

    async def test_no_piece_is_empty(self, subject: Subject) -> None:
        events = await read(subject.model, subject.short)
        assert all(event.text for event in events if isinstance(event, PIECES))

    async def test_an_answer_ends_at_the_limit_of_tokens(self, subject: Subject) -> None:
        if subject.bounded is None:
            pytest.skip("quotes whole sentences, whose number is its own setting")
        events = await read(subject.model, subject.bounded)
        assert isinstance(events[-1], ModelFinished)
        assert events[-1].cause is StopCause.LENGTH
        completion = events[-1].usage.completion
        assert completion is not None
        assert completion <= (subject.bounded.options.max_output_tokens or 0)

    async def test_calls_overlap(self, subject: Subject) -> None:
        answers = await asyncio.gather(*(read(subject.model, subject.short) for _ in range(5)))
        assert all(isinstance(events[-1], ModelFinished) for events in answers)

    async def test_counted_tokens_are_never_less_than_the_prompt_takes(
        self, subject: Subject
    ) -> None:
        events = await read(subject.model, subject.short)
        assert isinstance(events[-1], ModelFinished)
        used = events[-1].usage.prompt
        assert used is not None
        assert await subject.model.count_tokens(subject.short.messages) >= used


class TestStopping:
    async def test_closing_the_stream_stops_the_model(self, subject: Subject) -> None:
        stream = subject.model.stream(subject.long, timeout=PLENTY)
        await anext(stream)
        await stream.aclose()
        assert await settled(subject.running) == 0
        assert isinstance((await read(subject.model, subject.short))[-1], ModelFinished)

    async def test_cancelling_the_reader_stops_the_model(self, subject: Subject) -> None:
        first = asyncio.Event()

        async def reader() -> None:
            async with aclosing(subject.model.stream(subject.long, timeout=PLENTY)) as events:
                async for _ in events:
                    first.set()

        task = asyncio.create_task(reader())
        await first.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await settled(subject.running) == 0

    async def test_an_attempt_that_takes_too_long_is_a_time_out(self, subject: Subject) -> None:
        if subject.slow is None:
            pytest.skip("answers at once, whatever it is asked")
        with pytest.raises(ModelError) as caught:
            await read(subject.model, subject.slow, Seconds(0.3))
        assert caught.value.kind is ModelErrorKind.TIMEOUT
        assert await settled(subject.running) == 0

    async def test_a_reader_that_leaves_does_not_disturb_another(self, subject: Subject) -> None:
        other = asyncio.create_task(read(subject.model, subject.short))
        stream = subject.model.stream(subject.long, timeout=PLENTY)
        await anext(stream)
        await stream.aclose()
        assert isinstance((await other)[-1], ModelFinished)


class TestRefusals:
    @pytest.mark.parametrize(
        ("request_", "named"),
        [
            (
                GenerationRequest((Message(Role.USER, (ImagePart("a.png", "image/png"),)),)),
                "images",
            ),
            (
                GenerationRequest((Message(Role.TOOL, (ToolResultPart("call-1", "4"),)),)),
                "tools",
            ),
            (
                GenerationRequest(
                    (Message.of(Role.USER, "Add."),),
                    GenerationOptions(tool_choice=ToolChoice.REQUIRED),
                ),
                "tools",
            ),
        ],
        ids=["an image", "the result of a tool", "a tool that must be called"],
    )
    async def test_what_the_deployment_lacks_is_refused_by_name(
        self, subject: Subject, request_: GenerationRequest, named: str
    ) -> None:
        with pytest.raises(ModelError, match=named) as caught:
            await read(subject.model, request_)
        assert caught.value.kind is ModelErrorKind.UNSUPPORTED


class TestClosing:
    async def test_closing_ends_running_streams_with_an_error(self, subject: Subject) -> None:
        stream = subject.model.stream(subject.long, timeout=PLENTY)
        await anext(stream)
        await subject.model.close()
        with pytest.raises(ModelError):
            async for _ in stream:
                pass

    async def test_closing_again_changes_nothing(self, subject: Subject) -> None:
        await read(subject.model, subject.short)
        await asyncio.gather(subject.model.close(), subject.model.close())
        await subject.model.close()

    async def test_a_closed_model_refuses_further_calls(self, subject: Subject) -> None:
        await subject.model.close()
        with pytest.raises(ModelError):
            await read(subject.model, subject.short)
