"""Streams as providers really send them, through the adapter, split anywhere.

The samples in `recordings` are our own, in the shapes that providers use. Where the data set
`provider-wire` is at hand, what real providers sent is replayed as well; a plain reading of the
whole body says what must come out.
"""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from adapters.models.openai_chunks import STOP_CAUSES
from adapters.models.openai_compatible import ChatServer, OpenAICompatible
from core.generation import (
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
)
from core.identifiers import Seconds
from core.messages import Message, Role
from fakes.chat_server import ChatServerDouble, Stream
from fakes.language_model import a_deployment

RECORDINGS = Path(__file__).parent / "recordings"
PROVIDERS = ["openai", "deepseek", "mistral", "ollama", "openrouter", "stream_close"]
HELLO = GenerationRequest((Message.of(Role.USER, "Hello"),))


@dataclass(frozen=True, slots=True)
class Heard:
    """What came of one stream."""

    text: str = ""
    reasoning: str = ""
    refusal: str = ""
    cause: StopCause | None = None
    usage: TokenUsage = TokenUsage()
    error: ModelErrorKind | None = None


SAMPLES = {
    "usage_in_a_chunk_of_its_own": Heard(
        "The keeper lit the lamp at 17:40.", "", "", StopCause.STOP, TokenUsage(21, 11, 16, 0)
    ),
    "reasoning_before_the_answer": Heard(
        "One of them.", "Two lamps, one keeper.", "", StopCause.STOP, TokenUsage(9, 10, 0, 6)
    ),
    "comments_and_an_error_inside": Heard(reasoning="Short", error=ModelErrorKind.OVERLOADED),
    "thoughts_as_parts": Heard(
        "The west lamp.", "Which lamp?", "", StopCause.STOP, TokenUsage(8, 9)
    ),
    "timings_instead_of_usage": Heard("Lamps on", "", "", StopCause.LENGTH, TokenUsage(48, 2, 12)),
    "returns_and_many_scripts": Heard(
        "灯塔守护人在 17:40 点亮了灯。 🗼👩🏽‍🚒 Ünïcødé", "", "", StopCause.STOP, TokenUsage(0, 0)
    ),
    "a_call_of_a_tool": Heard(cause=StopCause.TOOL_CALLS, usage=TokenUsage(53, 15)),
    "filtered": Heard("The storm", cause=StopCause.CONTENT_FILTER),
    "declined": Heard("", "", "I can't help with that.", StopCause.STOP, TokenUsage(30, 8)),
    "an_event_of_type_error": Heard("Half", error=ModelErrorKind.CONTEXT_TOO_LONG),
    "no_end_mark": Heard("Whole", cause=StopCause.STOP, usage=TokenUsage(3, 1)),
    "no_finish_reason": Heard("Half an", error=ModelErrorKind.MALFORMED_STREAM),
}


def test_every_sample_is_expected_to_say_something() -> None:
    assert {path.stem for path in RECORDINGS.glob("*.sse")} == set(SAMPLES)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", SAMPLES)
async def test_samples(name: str, seed: int) -> None:
    body = (RECORDINGS / f"{name}.sse").read_bytes()
    assert await heard(split(body, random.Random(seed))) == SAMPLES[name]


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_what_real_providers_sent(provider: str, data_set: Callable[[str], Path]) -> None:
    folder = data_set("provider-wire") / provider
    draw = random.Random(provider)
    for file in sorted(folder.glob("*.yaml")):
        for body in recorded_streams(file):
            expected = read_whole(body)
            for _ in range(3):
                assert await heard(split(body, draw)) == expected, file.name


def test_the_data_set_has_streams_to_replay(data_set: Callable[[str], Path]) -> None:
    files = data_set("provider-wire").glob("*/*.yaml")
    assert sum(len(recorded_streams(file)) for file in files) >= 9


def split(body: bytes, draw: random.Random) -> list[bytes]:
    """The body in pieces, cut at random bytes: within lines, characters and line ends, too."""
    cuts = sorted(draw.sample(range(1, len(body)), min(40, len(body) - 1)))
    edges = [0, *cuts, len(body)]
    return [body[start:end] for start, end in itertools.pairwise(edges)]


async def heard(pieces: list[bytes]) -> Heard:
    """What the adapter makes of a body that arrives like this."""
    async with ChatServerDouble(Stream(pieces)) as server:
        model = OpenAICompatible(
            a_deployment(), ChatServer(server.url), now=lambda: datetime.now(UTC)
        )
        result = Heard()
        try:
            async with aclosing(model.stream(HELLO, timeout=Seconds(10))) as events:
                async for event in events:
                    result = add(result, event)
        except ModelError as error:
            result = replace(result, error=error.kind)
        await model.close()
    return result


def add(heard: Heard, event: ModelEvent) -> Heard:
    match event:
        case TextDelta(text):
            return replace(heard, text=heard.text + text)
        case ReasoningDelta(text):
            return replace(heard, reasoning=heard.reasoning + text)
        case RefusalDelta(text):
            return replace(heard, refusal=heard.refusal + text)
        case ModelFinished(cause, usage):
            return replace(heard, cause=cause, usage=usage)


def recorded_streams(file: Path) -> list[bytes]:
    """The bodies of the streamed Chat Completions in one recording."""
    exchanges = yaml.load(file.read_text(), yaml.CSafeLoader)["interactions"]
    bodies = [
        exchange["response"]["body"]["string"]
        for exchange in exchanges
        if "/chat/completions" in exchange["request"]["uri"] and "body" in exchange["response"]
    ]
    return [body if isinstance(body, bytes) else body.encode() for body in bodies]


def read_whole(body: bytes) -> Heard:
    """The plain reading: every `data` line of the whole body, in the providers' own words."""
    lines = [line[6:] for line in body.decode().splitlines() if line.startswith("data: ")]
    result = Heard()
    finish = ""
    for line in lines:
        if line == "[DONE]":
            break
        said = json.loads(line)
        if "error" in said:
            return replace(result, usage=TokenUsage(), error=ModelErrorKind.BAD_REQUEST)
        if said.get("usage"):
            result = replace(result, usage=whole_usage(said["usage"]))
        for choice in said["choices"]:
            finish = choice["finish_reason"] or finish
            text, reasoning = whole_delta(choice["delta"])
            result = replace(
                result, text=result.text + text, reasoning=result.reasoning + reasoning
            )
    return replace(result, cause=STOP_CAUSES[finish])


def whole_delta(delta: dict[str, object]) -> tuple[str, str]:
    content = delta.get("content") or ""
    reasoning = str(delta.get("reasoning_content") or delta.get("reasoning") or "")
    if isinstance(content, list):
        thoughts = [part["thinking"] for part in content if part["type"] == "thinking"]
        reasoning += "".join(piece["text"] for thought in thoughts for piece in thought)
        content = "".join(part["text"] for part in content if part["type"] == "text")
    return str(content), reasoning


def whole_usage(usage: dict[str, object]) -> TokenUsage:
    def count(name: str, within: str = "") -> int | None:
        place = usage.get(within) if within else usage
        found = place.get(name) if isinstance(place, dict) else None
        assert found is None or isinstance(found, int)
        return found

    return TokenUsage(
        count("prompt_tokens"),
        count("completion_tokens"),
        count("cached_tokens", "prompt_tokens_details"),
        count("reasoning_tokens", "completion_tokens_details"),
    )
