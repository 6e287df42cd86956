"""Real seconds: a stop is obeyed within one, while a prompt is read and while an answer is made.

After it, the model does nothing more, which its use of the processor shows, and the next request
is served as if nothing had been.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace

import pytest

from adapters.models.llama_cpp import POSSIBLE, LlamaCpp
from core.generation import (
    GenerationOptions,
    GenerationRequest,
    ModelError,
    ModelErrorKind,
    ModelFinished,
)
from core.identifiers import Seconds
from core.messages import Message, Role
from fakes.language_model import a_deployment

pytestmark = pytest.mark.clocked

WITHIN = 1.0
PLENTY = Seconds(120.0)
NOTES = "".join(
    f"The keeper of lighthouse number {number} wrote that the storm had passed. "
    for number in range(270)
)


def ask(text: str, tokens: int | None = None) -> GenerationRequest:
    options = GenerationOptions(temperature=0, max_output_tokens=tokens)
    return GenerationRequest((Message.of(Role.USER, text),), options)


STORY = ask("Write a long story about a lighthouse, its keeper, and the sea.")
LONG_PROMPT = ask(NOTES)


@pytest.fixture
async def model() -> AsyncIterator[LlamaCpp]:
    deployment = replace(
        a_deployment("smollm2"),
        context_window=5_120,
        max_output_tokens=600,
        capabilities=POSSIBLE,
    )
    made = LlamaCpp(deployment)
    assert await made.count_tokens(LONG_PROMPT.messages) >= 4_000  # loads the model, too
    yield made
    await made.close()


async def is_at_rest(model: LlamaCpp) -> bool:
    """Whether this process computes nothing for a while."""
    before = time.process_time()
    await asyncio.sleep(0.3)
    return time.process_time() - before < 0.1 and await model.running() == 0


async def serves_at_once(model: LlamaCpp) -> bool:
    """Whether the next request begins without waiting for what was stopped, and ends well.

    What was stopped would have taken many times longer.
    """
    started = time.monotonic()
    async with aclosing(model.stream(ask("Say hello.", 5), timeout=PLENTY)) as events:
        await anext(events)
        begun = time.monotonic() - started
        last = [event async for event in events][-1]
    return begun < 2.0 and isinstance(last, ModelFinished)


@pytest.mark.parametrize("after", [0.2, 1.0, 3.0])
async def test_in_mid_prompt(model: LlamaCpp, after: float) -> None:
    stream = model.stream(LONG_PROMPT, timeout=PLENTY)
    first = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(after)
    assert not first.done(), "the prompt was read before the stop"
    started = time.monotonic()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    await stream.aclose()
    assert time.monotonic() - started < WITHIN
    assert await is_at_rest(model)
    assert await serves_at_once(model)


@pytest.mark.parametrize("events", [1, 40])
async def test_in_mid_answer(model: LlamaCpp, events: int) -> None:
    stream = model.stream(STORY, timeout=PLENTY)
    for _ in range(events):
        await anext(stream)
    started = time.monotonic()
    await stream.aclose()
    assert time.monotonic() - started < WITHIN
    assert await is_at_rest(model)
    assert await serves_at_once(model)


async def test_a_time_out_in_mid_prompt_stops_the_model_as_well(model: LlamaCpp) -> None:
    started = time.monotonic()
    with pytest.raises(ModelError) as caught:
        await anext(model.stream(LONG_PROMPT, timeout=Seconds(0.5)))
    assert caught.value.kind is ModelErrorKind.TIMEOUT
    assert time.monotonic() - started < 0.5 + WITHIN
    assert await is_at_rest(model)


async def test_closing_in_mid_prompt(model: LlamaCpp) -> None:
    first = asyncio.ensure_future(anext(model.stream(LONG_PROMPT, timeout=PLENTY)))
    await asyncio.sleep(0.5)
    started = time.monotonic()
    await model.close()
    assert time.monotonic() - started < WITHIN
    with pytest.raises(ModelError, match="closed"):
        await first


async def test_one_that_waits_for_a_slot_leaves_at_once(model: LlamaCpp) -> None:
    slots = [model.stream(STORY, timeout=PLENTY) for _ in range(2)]
    for stream in slots:
        await anext(stream)
    waiting = asyncio.ensure_future(anext(model.stream(STORY, timeout=PLENTY)))
    await asyncio.sleep(0.1)
    started = time.monotonic()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert time.monotonic() - started < WITHIN
    for stream in slots:
        await anext(stream)
        await stream.aclose()
    assert await serves_at_once(model)
