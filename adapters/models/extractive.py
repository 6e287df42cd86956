"""A language model that writes nothing: it quotes the sentences that answer, or says none do.

What it streams is the text of a grounded answer, each sentence with its marker, so that it goes
through the same checks as a model's. It needs no weights of its own: with an embedder it ranks
better, without one, or where that is late or missing, it goes by words.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from adapters.models.likeness import LikenessMeter
from adapters.models.refusals import refuse_unsupported
from core.catalog import Capability, Deployment
from core.errors import ColonnadeError
from core.generation import (
    GenerationRequest,
    ModelError,
    ModelErrorKind,
    ModelEvent,
    ModelFinished,
    RefusalDelta,
    StopCause,
    TextDelta,
    TokenUsage,
)
from core.grounding.answerability import Likenesses
from core.grounding.extraction import (
    PASSAGES,
    Extraction,
    ExtractionPolicy,
    Ranking,
    choose,
    rank,
)
from core.grounding.refusals import no_documents_text, refusal_text
from core.grounding.spoken import spoken
from core.messages import Role
from core.ports.token_bounds import TokenBounds, TokenCounting
from core.text.language import detect_language

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from core.identifiers import Seconds
    from core.messages import Message
    from core.ports.embedder import Embedder

T = TypeVar("T")

POSSIBLE: frozenset[Capability] = frozenset({Capability.SEED})
"""The same request gives the same answer whatever the seed."""
EMBEDDING_SHARE, EMBEDDING_PATIENCE = 0.5, 5.0
"""How much of the time-out, and how many seconds at most, an embedder may take: then words do."""
LONGEST_QUESTION = 2_000
"""Characters of a question that are looked at: the last ones, where it is usually asked."""


class ExtractiveModel:
    """Quotes `request.context`. The embedder is shared, and closed by whoever opened it."""

    def __init__(
        self,
        deployment: Deployment,
        embedder: Embedder | None = None,
        policy: ExtractionPolicy | None = None,
    ) -> None:
        self._deployment = deployment
        self._meter = LikenessMeter(embedder) if embedder is not None else None
        self._policy = policy or ExtractionPolicy()
        self._closed = False

    @property
    def deployment(self) -> Deployment:
        """The catalog entry that this serves."""
        return self._deployment

    async def stream(
        self, request: GenerationRequest, *, timeout: Seconds
    ) -> AsyncGenerator[ModelEvent, None]:
        """See LanguageModel. A refusal is told as RefusalDelta, and ends with STOP as well."""
        self._check(request)
        question = _question(request)
        try:
            async with asyncio.timeout(timeout):
                extraction = await self._extract(question, request, timeout)
        except TimeoutError:
            raise ModelError(
                ModelErrorKind.TIMEOUT, f"no answer was found within {timeout:g} s"
            ) from None
        for event in _events(extraction, request, question):
            yield event
            await asyncio.sleep(0)  # a cancel is obeyed between sentences
            self._check_open()
        yield ModelFinished(StopCause.STOP, TokenUsage(prompt=0, completion=0))

    async def count_tokens(self, messages: Sequence[Message]) -> int:  # noqa: ARG002
        """0: nothing is rendered, and no window bounds what can be quoted."""
        return 0

    async def count_bounds(self, messages: Sequence[Message]) -> TokenBounds:  # noqa: ARG002
        """See BoundingModel."""
        return TokenBounds(0, 0, TokenCounting.EXACT)

    async def close(self) -> None:
        """Nothing is held; calls from now on are refused. Idempotent."""
        self._closed = True

    def _check(self, request: GenerationRequest) -> None:
        self._check_open()
        refuse_unsupported(request, self._deployment, POSSIBLE)

    def _check_open(self) -> None:
        if self._closed:
            raise ModelError(ModelErrorKind.CONNECTION, f"{self._deployment.name} is closed")

    async def _extract(
        self, question: str, request: GenerationRequest, timeout: Seconds
    ) -> Extraction:
        passages = request.context[:PASSAGES]
        patience = min(timeout * EMBEDDING_SHARE, EMBEDDING_PATIENCE)
        likeness = None
        if self._meter is not None and passages:
            likeness = await _within(patience, self._meter.of_sentences(question, passages))
        ranking = await asyncio.to_thread(rank, question, passages, likeness)
        closer = None
        if self._meter is not None and likeness is not None:
            closer = await _within(patience / 2, self._meter.closer(ranking))
        return await asyncio.to_thread(self._choose, ranking, closer)

    def _choose(self, ranking: Ranking, likenesses: Likenesses | None) -> Extraction:
        return choose(ranking, self._policy, likenesses)


async def _within(seconds: float, asked: Awaitable[T]) -> T | None:
    """What the embedder says, or None where it is late or cannot serve: words do without."""
    with suppress(TimeoutError, ColonnadeError):
        async with asyncio.timeout(seconds):
            return await asked
    return None


def _question(request: GenerationRequest) -> str:
    """What was asked: the structured question, else the last words of the user."""
    said = (m.text for m in reversed(request.messages) if m.role is Role.USER)
    return (request.question or next(said, ""))[-LONGEST_QUESTION:]


def _events(
    extraction: Extraction, request: GenerationRequest, question: str
) -> list[TextDelta | RefusalDelta]:
    language = detect_language(question)
    if not request.context:
        return [RefusalDelta(no_documents_text(language))]
    if extraction.refused:
        return [RefusalDelta(refusal_text(language))]
    return [TextDelta(piece) for piece in spoken(extraction.quotations)]
