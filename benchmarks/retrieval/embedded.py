"""A test collection with its vectors: made once by an embedder, then kept in a folder."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.retrieval.sets import RetrievalSet
from core.ports.embedder import Embedder, TextKind
from core.text.sentences import sentences

KEPT_IN = Path("build/embeddings")
_FULL_STOP = re.compile(r" \.\s+(\w)")

Matrix = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class EmbeddedSet:
    """One row a question, a text, a sentence; `owner` is the text that each sentence is of."""

    questions: Matrix
    texts: Matrix
    sentences: Matrix
    owner: NDArray[np.int64]


async def embedded(data: RetrievalSet, embedder: Embedder) -> EmbeddedSet:
    """The set's vectors, from the folder where they were kept before, else embedded now."""
    kept = _kept_in(f"{data.name}-{embedder.name}")
    if not await asyncio.to_thread(kept.is_file):
        owned = [(place, one) for place, text in enumerate(data.texts) for one in _split(text)]
        made = EmbeddedSet(
            await _matrix(embedder, data.questions, TextKind.QUERY),
            await _matrix(embedder, data.texts, TextKind.DOCUMENT),
            await _matrix(embedder, [one for _, one in owned], TextKind.DOCUMENT),
            np.array([place for place, _ in owned], np.int64),
        )
        await asyncio.to_thread(_keep, made, kept)
    with np.load(kept) as stored:
        return EmbeddedSet(**{name: stored[name] for name in stored.files})


def _keep(made: EmbeddedSet, file: Path) -> None:
    np.savez(
        file,
        questions=made.questions,
        texts=made.texts,
        sentences=made.sentences,
        owner=made.owner,
    )


def nearest_of(text_scores: Matrix, sentence_scores: Matrix, owner: NDArray[np.int64]) -> Matrix:
    """For each question (row) and text, the better of the text's own score and its sentences'."""
    nearest = text_scores.copy()
    for text in np.unique(owner):
        best = sentence_scores[:, owner == text].max(axis=1)
        nearest[:, text] = np.maximum(nearest[:, text], best)
    return nearest


def in_context(vectors: EmbeddedSet, share: float) -> Matrix:
    """`sentence_in_context` for all sentences at once."""
    mixed = (1 - share) * vectors.sentences + share * vectors.texts[vectors.owner]
    return np.asarray(mixed / np.linalg.norm(mixed, axis=1, keepdims=True), np.float32)


def _kept_in(name: str) -> Path:
    KEPT_IN.mkdir(parents=True, exist_ok=True)
    return KEPT_IN / f"{name}.npz"


async def _matrix(embedder: Embedder, texts: list[str], kind: TextKind) -> Matrix:
    return np.stack([np.asarray(vector) for vector in await embedder.embed(texts, kind)])


def _split(text: str) -> list[str]:
    """The text's sentences. A text without capitals gets them back, to be split at all."""
    if text == text.lower():
        text = _FULL_STOP.sub(lambda stop: f". {stop[1].upper()}", text)
    return [one.text for one in sentences(text)]
