"""Every provider's adapter against a server that fails in every way that servers do.

What users complain of elsewhere, and where the opposite is shown:
- a truncated stream is returned as a clean success: `test_a_body_that_just_ends_is_no_answer`;
- a cut or stalled stream is never noticed, since nothing bounds the time between tokens:
  `test_a_connection_that_is_cut_is_no_answer`, `test_each_silence_has_its_own_limit`;
- `Retry-After` is read from the first failure only: `test_advice_is_that_of_its_own_refusal`;
- an explicit zero is replaced by an estimate: `test_a_zero_is_believed`,
  `test_counts_that_are_not_sent_are_unknown`;
- cached tokens are billed twice: `test_what_was_cached_is_part_of_the_prompt`;
- the provider goes on when its client has left: `test_leaving_closes_the_connection_at_once`;
- going on with an answer hides the error of a model that can't, or puts English words into it:
  `test_what_a_dialect_lacks_is_refused_by_name` and `test_an_answer_that_was_begun_goes_on` in
  test_openai_request.py, `test_the_error_of_a_model_that_takes_no_beginning_is_shown` here.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from adapters.models import remote_model
from adapters.models.time_limits import TimeLimits
from core.generation import ModelError, ModelFinished, StopCause
from core.generation import ModelErrorKind as Kind
from core.identifiers import Seconds
from core.messages import Message, Role
from fakes.provider_formats import Say
from fakes.provider_models import (
    HELLO,
    KEY,
    PROVIDERS,
    broken_answer,
    events_of,
    provider,
    text_of,
)
from fakes.provider_server import Asked, Fault, Outcome, Plan, Refusal

QUICK = TimeLimits(Seconds(0.3), Seconds(0.3), Seconds(0.2))

pytestmark = pytest.mark.parametrize("format", PROVIDERS)


class TestBrokenStreams:
    @pytest.mark.parametrize("after", [0, 2])
    async def test_a_connection_that_is_cut_is_no_answer(self, format: str, after: int) -> None:
        plan = Plan.of("Half ", "an ", "answer", fault=Fault.CUT, after=after, pause=0.01)
        async with provider(format, plan) as (model, _):
            text, error = await broken_answer(model)
        assert error.kind is Kind.CONNECTION
        assert "Half an ".startswith(text)

    async def test_a_body_that_just_ends_is_no_answer(self, format: str) -> None:
        plan = Plan.of("Half ", "an ", "answer", fault=Fault.STOP, after=2)
        async with provider(format, plan) as (model, _):
            text, error = await broken_answer(model)
        assert error.kind is Kind.MALFORMED_STREAM
        assert text == "Half an "

    async def test_an_error_in_mid_stream_is_the_providers(self, format: str) -> None:
        plan = Plan.of("Half ", "an answer", fault=Fault.BROKEN, after=1)
        async with provider(format, plan) as (model, _):
            text, error = await broken_answer(model)
        assert (text, error.kind) == ("Half ", Kind.OVERLOADED)

    @pytest.mark.parametrize("fault", [Fault.GARBAGE, Fault.HALF_CHARACTER])
    async def test_nonsense_is_malformed(self, format: str, fault: Fault) -> None:
        plan = Plan.of("Half ", "an answer", fault=fault, after=1)
        async with provider(format, plan) as (model, _):
            text, error = await broken_answer(model)
        assert (text, error.kind) == ("Half ", Kind.MALFORMED_STREAM)

    async def test_a_server_that_hangs_up(self, format: str) -> None:
        async with provider(format, Plan(hangs_up=True)) as (model, server):
            _, error = await broken_answer(model)
        assert error.kind is Kind.CONNECTION
        assert len(server.records) == 1

    async def test_a_request_that_was_worked_on_is_not_sent_again(
        self, format: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A used connection that breaks late has not just crossed the request."""
        monkeypatch.setattr(remote_model, "AT_ONCE", 0.05)

        def plan(asked: Asked) -> Plan:
            return Plan() if asked.number == 0 else Plan(before=0.2, hangs_up=True)

        async with provider(format, plan) as (model, server):
            await events_of(model)
            _, error = await broken_answer(model)
        assert error.kind is Kind.CONNECTION
        assert len(server.records) == 2

    async def test_an_unknown_end_is_no_answer(self, format: str) -> None:
        async with provider(format, Plan(cause="novelty")) as (model, _):
            _, error = await broken_answer(model)
        assert error.kind is Kind.MALFORMED_STREAM


class TestSlowStreams:
    @pytest.mark.parametrize(
        ("plan", "said"),
        [
            (Plan(hangs_before_headers=True), "the first token"),
            (Plan(first=30), "the first token"),
            (Plan.of("a", "b", fault=Fault.HANG, after=1), "the next token"),
        ],
        ids=["before the headers", "after the headers", "in mid-answer"],
    )
    async def test_each_silence_has_its_own_limit(self, format: str, plan: Plan, said: str) -> None:
        async with provider(format, plan, limits=QUICK) as (model, server):
            _, error = await broken_answer(model)
            assert error.kind is Kind.TIMEOUT
            assert said in error.message
            await asyncio.wait_for(server.gone.wait(), 5)

    async def test_the_whole_answer_has_one(self, format: str) -> None:
        plan = Plan(tuple(Say("word ") for _ in range(200)), pause=0.02)
        async with provider(format, plan) as (model, server):
            _, error = await broken_answer(model, timeout=0.3)
            assert error.kind is Kind.TIMEOUT
            assert "the whole answer" in error.message
            await asyncio.wait_for(server.gone.wait(), 5)

    async def test_an_answer_that_drips_is_whole(self, format: str) -> None:
        async with provider(format, Plan.of("灯塔 ", "🗼", drip=True)) as (model, _):
            events = await events_of(model)
        assert text_of(events) == "灯塔 🗼"
        assert isinstance(events[-1], ModelFinished)

    async def test_a_line_of_a_megabyte_is_read(self, format: str) -> None:
        long = "x" * 2**20
        async with provider(format, Plan.of(long, "end")) as (model, _):
            assert text_of(await events_of(model)) == long + "end"


class TestRefusals:
    @pytest.mark.parametrize(
        ("status", "kind"),
        [
            (400, Kind.BAD_REQUEST),
            (401, Kind.AUTHENTICATION),
            (404, Kind.BAD_REQUEST),
            (413, Kind.CONTEXT_TOO_LONG),
            (429, Kind.RATE_LIMITED),
            (500, Kind.OVERLOADED),
            (503, Kind.OVERLOADED),
            (504, Kind.TIMEOUT),
            (529, Kind.OVERLOADED),
        ],
    )
    async def test_kinds(self, format: str, status: int, kind: Kind) -> None:
        async with provider(format, Plan(refusal=Refusal(status))) as (model, server):
            _, error = await broken_answer(model)
        assert error.kind is kind
        assert str(status) in error.message
        assert len(server.records) == 1

    async def test_what_is_too_long_is_told_apart(self, format: str) -> None:
        message = {
            "messages": "prompt is too long: 210000 tokens > 200000 maximum",
            "gemini": "The input token count (9) exceeds the maximum number of tokens allowed (4)",
            "responses": "Your input exceeds the context window of this model.",
        }.get(format, "This model's maximum context length is 4 tokens.")
        plan = Plan(refusal=Refusal(400, message=message))
        async with provider(format, plan) as (model, _):
            assert (await broken_answer(model))[1].kind is Kind.CONTEXT_TOO_LONG

    async def test_the_error_of_a_model_that_takes_no_beginning_is_shown(self, format: str) -> None:
        said = "This model does not support assistant message prefill."
        begun = (*HELLO.messages, Message.of(Role.ASSISTANT, "It is"))
        plan = Plan(refusal=Refusal(400, message=said))
        async with provider(format, plan) as (model, server):
            _, error = await broken_answer(model, replace(HELLO, messages=begun))
        if error.kind is Kind.UNSUPPORTED:  # the format itself knows no beginnings
            assert not server.records
        else:
            assert (error.kind, said in error.message) == (Kind.BAD_REQUEST, True)

    @pytest.mark.parametrize("status", [429, 503])
    async def test_advice_when_to_come_back(self, format: str, status: int) -> None:
        refusal = Refusal(status, {"Retry-After": "7"})
        async with provider(format, Plan(refusal=refusal)) as (model, _):
            assert (await broken_answer(model))[1].retry_after == 7.0

    async def test_advice_is_that_of_its_own_refusal(self, format: str) -> None:
        def plan(asked: Asked) -> Plan:
            return Plan(refusal=Refusal(429, {"Retry-After": str(asked.number + 1)}))

        async with provider(format, plan) as (model, _):
            waits = [(await broken_answer(model))[1].retry_after for _ in range(3)]
        assert waits == [1.0, 2.0, 3.0]

    async def test_the_key_is_nowhere(self, format: str) -> None:
        refusal = Refusal(400, message=f"What is {KEY}?")
        async with provider(format, Plan(refusal=refusal)) as (model, server):
            _, error = await broken_answer(model)
        assert KEY not in error.message + repr(error) + repr(model)
        assert any(KEY in value for value in server.records[0].headers.values())


class TestCounting:
    async def test_counts_are_those_of_the_provider(self, format: str) -> None:
        async with provider(format, Plan.of("a", "b", "c")) as (model, server):
            events = await events_of(model)
        finished = events[-1]
        assert isinstance(finished, ModelFinished)
        record = server.records[0]
        assert finished.usage.prompt == record.prompt_tokens
        assert finished.usage.completion == record.tokens == 3

    async def test_what_was_cached_is_part_of_the_prompt(self, format: str) -> None:
        """Cached tokens are counted once: some peers bill them twice."""
        request = replace(HELLO, messages=(*HELLO.messages, *HELLO.messages, *HELLO.messages))
        async with provider(format, Plan(cached=2)) as (model, _):
            finished = (await events_of(model, request))[-1]
        assert isinstance(finished, ModelFinished)
        assert (finished.usage.prompt, finished.usage.cached_prompt) == (3, 2)

    async def test_a_zero_is_believed(self, format: str) -> None:
        async with provider(format, Plan(pieces=())) as (model, _):
            finished = (await events_of(model))[-1]
        assert isinstance(finished, ModelFinished)
        assert finished.usage.completion == 0
        assert finished.usage.cached_prompt == 0

    async def test_counts_that_are_not_sent_are_unknown(self, format: str) -> None:
        async with provider(format, Plan(counts=False)) as (model, _):
            finished = (await events_of(model))[-1]
        assert isinstance(finished, ModelFinished)
        assert finished.usage.completion is None

    async def test_the_limit_ends_the_answer(self, format: str) -> None:
        plan = Plan(tuple(Say("word ") for _ in range(50)))
        options = replace(HELLO.options, max_output_tokens=5)
        async with provider(format, plan) as (model, _):
            finished = (await events_of(model, replace(HELLO, options=options)))[-1]
        assert isinstance(finished, ModelFinished)
        assert (finished.cause, finished.usage.completion) == (StopCause.LENGTH, 5)

    async def test_a_filter_is_told(self, format: str) -> None:
        async with provider(format, Plan(cause="content_filter")) as (model, _):
            finished = (await events_of(model))[-1]
        assert isinstance(finished, ModelFinished)
        assert finished.cause is StopCause.CONTENT_FILTER


class TestLeaving:
    @pytest.mark.parametrize(
        "plan",
        [Plan(hangs_before_headers=True), Plan.of("a", "b", fault=Fault.HANG, after=1)],
        ids=["before the headers", "in mid-answer"],
    )
    async def test_leaving_closes_the_connection_at_once(self, format: str, plan: Plan) -> None:
        """The provider sees it within 250 ms; an endless answer costs its tokens until then."""
        async with provider(format, plan) as (model, server):
            reader = asyncio.create_task(events_of(model, timeout=60))
            await server.came.wait()
            await asyncio.sleep(0.05)
            left = asyncio.get_running_loop().time()
            reader.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reader
            await asyncio.wait_for(server.gone.wait(), 1)
            record = server.records[0]
        assert record.outcome is Outcome.LEFT
        assert record.ended is not None
        assert record.ended - left < 0.25

    async def test_connections_are_used_again(self, format: str) -> None:
        async with provider(format) as (model, server):
            for _ in range(4):
                await events_of(model)
        assert len({record.peer for record in server.records}) == 1

    async def test_closing_ends_what_runs(self, format: str) -> None:
        plan = Plan.of("a", "b", fault=Fault.HANG, after=1)
        async with provider(format, plan) as (model, server):
            reader = asyncio.create_task(broken_answer(model, timeout=60))
            await server.came.wait()
            await model.close()
            _, error = await asyncio.wait_for(reader, 5)
        assert isinstance(error, ModelError)
        assert error.kind is Kind.CONNECTION
