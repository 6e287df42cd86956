"""The language model of the server under measure, in its own process."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from decimal import Decimal

from benchmarks.relaying.source import CHUNKS, chunks
from core.catalog import Deployment, Tier
from core.generation import (
    GenerationRequest,
    ModelEvent,
    ModelFinished,
    StopCause,
    TextDelta,
    TokenUsage,
)
from core.identifiers import DeploymentName, Seconds
from core.messages import Message
from core.prices import Prices

DEPLOYMENT = Deployment(
    name=DeploymentName("scripted"),
    model="scripted-1",
    provider="benchmark",
    tier=Tier.STRONG,
    context_window=8_192,
    max_output_tokens=1_024,
    prices=Prices(Decimal("0.15"), Decimal("0.60")),
)


class ScriptedModel:
    """See core.ports.language_model.LanguageModel. It answers with the chunks of the source."""

    deployment = DEPLOYMENT

    async def stream(
        self, request: GenerationRequest, *, timeout: Seconds
    ) -> AsyncGenerator[ModelEvent, None]:
        """The chunks that the question asks for."""
        del timeout  # a script is never late
        async for text in chunks(request.question):
            yield TextDelta(text)
        yield ModelFinished(StopCause.STOP, TokenUsage(prompt=20, completion=CHUNKS))

    async def count_tokens(self, messages: Sequence[Message]) -> int:
        """A bound by the bytes of the text."""
        return sum(len(message.text.encode()) + 8 for message in messages)

    async def close(self) -> None:
        """Nothing is held."""
