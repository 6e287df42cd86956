"""One deployment of one model."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Protocol

from core.catalog import Deployment
from core.generation import GenerationRequest, ModelEvent
from core.identifiers import Seconds
from core.messages import Message


class LanguageModel(Protocol):
    """Streams one attempt's answer: no retries, no routing, no booking.

    Calls may overlap; a model that has fewer slots queues them, within each one's time-out.
    """

    @property
    def deployment(self) -> Deployment:
        """The catalog entry that this serves."""

    def stream(
        self, request: GenerationRequest, *, timeout: Seconds
    ) -> AsyncGenerator[ModelEvent, None]:
        """The answer as it is made; the last event is ModelFinished, and comes once.

        An AnswerOrigin, where there is one, comes first. Pieces are never empty. Calls of tools
        begin in the order of their numbers. Counts are the provider's own: zero is zero, and
        what it does not say is None. Thoughts are ReasoningDelta in whatever way the provider
        tells them, and never text.

        `timeout` bounds the whole attempt; a model behind HTTP bounds its connection, its first
        piece and the silence between pieces, too. Closing the generator, or cancelling the task
        that reads it, stops the model within a second, also while it still reads the prompt; the
        generator's close returns once it has. A connection to a provider closes within 250 ms.

        Raises ModelError, before or after text, with the provider's advice when to come back. A
        stream that is cut is MALFORMED_STREAM or CONNECTION, never a finish. Options that the
        deployment lacks are refused as UNSUPPORTED by name, never dropped; hints (`cache_key`,
        `stable_messages`) are no options.
        """

    async def count_tokens(self, messages: Sequence[Message]) -> int:
        """An upper bound of the tokens that these messages take when rendered for this model."""

    async def close(self) -> None:
        """Free what the model holds; running streams end with an error. Idempotent."""
