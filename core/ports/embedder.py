"""Text to vectors."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple, Protocol, runtime_checkable

from core.identifiers import EmbedderName
from core.knowledge import Vector


class TextKind(Enum):
    """Some models embed what is asked differently from what is searched."""

    QUERY = "query"
    DOCUMENT = "document"


class Embedder(Protocol):
    """Embeds text into one space. Vectors are float32 and L2-normalised.

    The name stands for exactly these weights and this pooling: two embedders of one name give
    the same vectors, and a collection that was built with it is searched with it alone.
    """

    @property
    def name(self) -> EmbedderName:
        """What a collection records."""

    @property
    def dimensions(self) -> int:
        """The length of every vector."""

    @property
    def languages(self) -> frozenset[str]:
        """BCP-47 primary tags that it was trained for; empty means many."""

    async def embed(self, texts: Sequence[str], kind: TextKind) -> list[Vector]:
        """One vector a text, in order. Texts beyond the model's window are cut.

        The event loop is not blocked; a cancel is obeyed between batches. An empty text has a
        vector too. Raises Unavailable where the weights are missing.
        """

    async def close(self) -> None:
        """Free the model. Idempotent."""


class Embedded(NamedTuple):
    """Vectors, one a text, and the tokens that were counted for them; None is unknown."""

    vectors: list[Vector]
    tokens: int | None


@runtime_checkable
class CountingEmbedder(Embedder, Protocol):
    """An embedder that tells what it is paid for."""

    async def embed_counted(self, texts: Sequence[str], kind: TextKind) -> Embedded:
        """The same as `embed`, with the provider's own count of tokens."""
