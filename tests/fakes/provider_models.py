"""An adapter for each format that the provider server speaks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from adapters.models.anthropic import AnthropicModel, MessagesServer
from adapters.models.azure_openai import AzureOpenAI, AzureServer
from adapters.models.gemini import GeminiModel, GeminiServer
from adapters.models.openai_compatible import ChatServer, OpenAICompatible
from adapters.models.openai_responses import ResponsesModel
from adapters.models.remote_model import RemoteModel
from adapters.models.upstream import Upstream
from core.catalog import Capability, Deployment
from core.generation import (
    GenerationOptions,
    GenerationRequest,
    ModelError,
    ModelEvent,
    TextDelta,
    ToolDefinition,
)
from core.identifiers import Seconds
from core.messages import Message, Role
from fakes.language_model import a_deployment
from fakes.provider_server import Asked, Plan, ProviderServer

KEY = "sk-a-secret-of-the-test"
NOW = datetime(2026, 3, 4, tzinfo=UTC)
ABLE = replace(
    a_deployment(), capabilities=frozenset(Capability) - {Capability.EMBEDDINGS}, model="m"
)
"""A deployment that can do everything, so that the formats' own limits show."""
HELLO = GenerationRequest((Message.of(Role.USER, "Hello"),))
ADD = ToolDefinition("add", "Adds.", '{"type": "object", "properties": {"a": {"type": "number"}}}')
WITH_TOOLS = replace(HELLO, options=GenerationOptions(tools=(ADD,)))

PROVIDERS = ("chat", "responses", "messages", "gemini", "azure")


def provider_model(
    format: str, base_url: str, deployment: Deployment = ABLE, **settings: Any
) -> RemoteModel:
    """The adapter that speaks this format, to a server at this address."""
    settings = {"api_key": KEY, **settings}

    def now() -> datetime:
        return NOW

    match format:
        case "chat":
            return OpenAICompatible(deployment, ChatServer(base_url, **settings), now=now)
        case "responses":
            return ResponsesModel(deployment, Upstream(base_url, **settings), now=now)
        case "messages":
            return AnthropicModel(deployment, MessagesServer(base_url, **settings), now=now)
        case "gemini":
            return GeminiModel(deployment, GeminiServer(base_url, **settings), now=now)
        case "azure":
            return AzureOpenAI(deployment, AzureServer(base_url, **settings), now=now)
    raise ValueError(format)


@asynccontextmanager
async def provider(
    format: str, plan: Plan | Callable[[Asked], Plan] | None = None, **settings: Any
) -> AsyncIterator[tuple[RemoteModel, ProviderServer]]:
    """An adapter of this format and the server that it speaks to."""
    choose = (lambda asked: plan) if isinstance(plan, Plan) else plan
    async with ProviderServer(choose) as server:
        model = provider_model(format, server.url(format), **settings)
        try:
            yield model, server
        finally:
            await model.close()


async def events_of(
    model: RemoteModel, request: GenerationRequest = HELLO, timeout: float = 10.0
) -> list[ModelEvent]:
    """All events of one answer."""
    async with aclosing(model.stream(request, timeout=Seconds(timeout))) as events:
        return [event async for event in events]


async def broken_answer(
    model: RemoteModel, request: GenerationRequest = HELLO, timeout: float = 10.0
) -> tuple[str, ModelError]:
    """The text that came, and the error that ended it."""
    text = ""
    try:
        async with aclosing(model.stream(request, timeout=Seconds(timeout))) as events:
            async for event in events:
                text += event.text if isinstance(event, TextDelta) else ""
    except ModelError as error:
        return text, error
    raise AssertionError(f"the answer was whole: {text!r}")


def text_of(events: list[ModelEvent]) -> str:
    """The answer's text."""
    return "".join(event.text for event in events if isinstance(event, TextDelta))
