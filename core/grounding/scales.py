"""How an embedder's cosines are read: each model crowds them in a range of its own."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CosineScale:
    """`likeness = (cosine - middle) / spread`, so that different models' values compare.

    `spread` is about the standard deviation among a question's sentences; `middle` puts the
    best sentence of the usual question at the same place for every model.
    """

    middle: float
    spread: float

    def likeness(self, cosine: float) -> float:
        """The cosine in units of its model."""
        return (cosine - self.middle) / self.spread


MINILM = CosineScale(middle=0.3, spread=0.2)
"""MiniLM and its kin of sentence-transformers."""
E5_ENGLISH = CosineScale(middle=0.787, spread=0.05)
E5_CHINESE = CosineScale(middle=0.839, spread=0.05)
"""E5 crowds its cosines between 0.67 and 0.93, and higher in Chinese than in English."""


def scale_of(embedder: str, language: str) -> CosineScale:
    """The scale of an embedder by its name, for questions in a language; MINILM's if unknown."""
    if not embedder.casefold().startswith(("e5", "multilingual-e5")):
        return MINILM
    return E5_CHINESE if language.startswith(("zh", "ja", "ko")) else E5_ENGLISH
