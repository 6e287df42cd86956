"""The language models that keep the contract, each with requests that show it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from adapters.models.extractive import ExtractiveModel
from adapters.models.llama_cpp import POSSIBLE, LlamaCpp
from core.generation import GenerationOptions, GenerationRequest
from core.identifiers import ChunkId, CollectionName, DocumentId
from core.knowledge import Chunk, Passage
from core.messages import Message, Role
from core.ports.language_model import LanguageModel
from fakes.language_model import Hang, Script, ScriptedModel, Wait, a_deployment, script
from fakes.provider_models import provider
from fakes.provider_server import Asked, Plan


@dataclass(frozen=True, slots=True)
class Subject:
    """A model under test.

    `short` is answered soon; `long` has a first piece and then goes on for seconds; `bounded` has
    a limit of tokens that its answer reaches; `slow` has no end within a second. None stands for
    what this model cannot show. `running` tells how many answers are being made behind it.
    """

    model: LanguageModel
    short: GenerationRequest
    long: GenerationRequest
    bounded: GenerationRequest | None
    slow: GenerationRequest | None
    running: Callable[[], Awaitable[int]]


def ask(text: str, tokens: int | None = None) -> GenerationRequest:
    options = GenerationOptions(temperature=0, max_output_tokens=tokens)
    return GenerationRequest((Message.of(Role.USER, text),), options)


@asynccontextmanager
async def scripted_subject() -> AsyncIterator[Subject]:
    model = ScriptedModel(choose=_script)
    running = _counting(lambda: model.running)
    yield Subject(model, ask("short"), ask("long"), ask("long", 5), ask("slow"), running)
    await model.close()


def _script(request: GenerationRequest) -> Script:
    match request.messages[-1].text:
        case "slow":
            return script(Hang())
        case "long":
            return script(*(step for _ in range(500) for step in ("word ", Wait(0.01))))
        case _:
            return script("Hello", " world", ".")


@asynccontextmanager
async def llama_cpp_subject() -> AsyncIterator[Subject]:
    deployment = replace(
        a_deployment("smollm2"), context_window=1_024, max_output_tokens=900, capabilities=POSSIBLE
    )
    model = LlamaCpp(deployment)
    story = "Write a long story about a lighthouse, its keeper, and the sea."

    async def running() -> int:
        return await model.running()

    try:
        yield Subject(model, ask("Say hello.", 12), ask(story), ask(story, 8), ask(story), running)
    finally:
        await model.close()


@asynccontextmanager
async def remote_subject(format: str) -> AsyncIterator[Subject]:
    """The adapter of a provider's format, before a server that speaks it."""
    deployment = replace(a_deployment(), capabilities=frozenset())
    async with provider(format, _plan, deployment=deployment) as (model, server):
        running = _counting(lambda: server.running)
        yield Subject(model, ask("short"), ask("long"), ask("long", 5), ask("slow"), running)


def _plan(asked: Asked) -> Plan:
    match asked.prompt:
        case "slow":
            return Plan(hangs_before_headers=True)
        case "long":
            return Plan.of(*["word "] * 500, pause=0.01 if asked.limit > 100 else 0)
        case _:
            return Plan.of("Hello", " world", ".")


@asynccontextmanager
async def extractive_subject() -> AsyncIterator[Subject]:
    """It has its whole answer at once, so that nothing of it is slow or bounded by tokens."""
    text = "The lighthouse was built in 1861. It is 40 m high. Its keeper was Ada Finch."
    passage = Passage(
        Chunk(ChunkId("c"), DocumentId("d"), 0, text, 0, len(text)),
        CollectionName("c"),
        "Lighthouse",
        "file:lighthouse.md",
        1.0,
    )
    model = ExtractiveModel(a_deployment("quotes"))
    request = replace(ask("When was the lighthouse built and how high is it?"), context=(passage,))
    yield Subject(model, request, request, None, None, _counting(lambda: 0))
    await model.close()


def _counting(count: Callable[[], int]) -> Callable[[], Awaitable[int]]:
    async def counted() -> int:
        return count()

    return counted
