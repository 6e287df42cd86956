"""What a caller is told of an embedder."""

from __future__ import annotations

from dataclasses import dataclass

from core.identifiers import EmbedderName


@dataclass(frozen=True, slots=True)
class EmbeddingModel:
    """An embedder under the alias that requests give, with the exact name collections record."""

    alias: str
    name: EmbedderName
    dimensions: int
    languages: frozenset[str]
