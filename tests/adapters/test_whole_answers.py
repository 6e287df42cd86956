"""Answers that nobody reads before their end: asked for in one piece, and told all the same."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from adapters.models.time_limits import TimeLimits
from core.generation import AnswerOrigin, ModelErrorKind, ModelFinished, StopCause, TextDelta
from core.identifiers import Seconds
from fakes.heard import Called, put_together
from fakes.provider_formats import Propose, Say, Think
from fakes.provider_models import (
    HELLO,
    PROVIDERS,
    WITH_TOOLS,
    broken_answer,
    events_of,
    provider,
)
from fakes.provider_server import Fault, Outcome, Plan, Refusal

WHOLE = replace(HELLO, whole=True)
QUICK = TimeLimits(Seconds(0.3), Seconds(0.05), Seconds(0.05))

pytestmark = pytest.mark.parametrize("format", PROVIDERS)


async def test_the_text_comes_in_one_piece(format: str) -> None:
    async with provider(format, Plan.of("Hello", " world", ".")) as (model, server):
        events = await events_of(model, WHOLE)
    assert [type(event) for event in events] == [AnswerOrigin, TextDelta, ModelFinished]
    said = put_together(events)
    record = server.records[0]
    assert (said.text, said.cause) == ("Hello world.", StopCause.STOP)
    assert (said.usage.prompt, said.usage.completion) == (record.prompt_tokens, record.tokens)
    assert not record.body.get("stream")


async def test_thoughts_and_calls_are_those_of_a_stream(format: str) -> None:
    pieces = (Think("Hm, "), Think("yes."), Say("Yes."), Propose("call_1", "add", ('{"a": 1}',)))
    async with provider(format, Plan(pieces)) as (model, _):
        streamed = put_together(await events_of(model, WITH_TOOLS))
        whole = put_together(await events_of(model, replace(WITH_TOOLS, whole=True)))
    assert whole == streamed
    assert whole.calls == (Called("add", {"a": 1}),)
    assert len(whole.seals) == len(streamed.seals)


async def test_the_silence_before_it_is_no_failure(format: str) -> None:
    async with provider(format, Plan(first=0.2), limits=QUICK) as (model, _):
        assert isinstance((await events_of(model, WHOLE))[-1], ModelFinished)


async def test_the_whole_time_bounds_it(format: str) -> None:
    plan = Plan(fault=Fault.HANG)
    async with provider(format, plan) as (model, server):
        _, error = await broken_answer(model, WHOLE, timeout=0.2)
        assert error.kind is ModelErrorKind.TIMEOUT
        await asyncio.wait_for(server.gone.wait(), 5)
        assert server.records[0].outcome is Outcome.LEFT


@pytest.mark.parametrize(
    ("plan", "kind"),
    [
        (Plan(fault=Fault.CUT), ModelErrorKind.CONNECTION),
        (Plan(hangs_up=True), ModelErrorKind.CONNECTION),
        (Plan(refusal=Refusal(429)), ModelErrorKind.RATE_LIMITED),
        (Plan(cause="novelty"), ModelErrorKind.MALFORMED_STREAM),
    ],
    ids=["cut", "hung up", "refused", "an unknown end"],
)
async def test_failures_are_those_of_a_stream(
    format: str, plan: Plan, kind: ModelErrorKind
) -> None:
    async with provider(format, plan) as (model, _):
        assert (await broken_answer(model, WHOLE))[1].kind is kind


async def test_a_limit_is_told(format: str) -> None:
    plan = Plan(tuple(Say("word ") for _ in range(50)))
    options = replace(HELLO.options, max_output_tokens=5)
    async with provider(format, plan) as (model, _):
        said = put_together(await events_of(model, replace(WHOLE, options=options)))
    assert (said.cause, said.usage.completion) == (StopCause.LENGTH, 5)
