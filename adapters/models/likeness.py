"""What an embedder says of a question and the sentences of its passages, remembered for a while."""

from __future__ import annotations

import asyncio
from array import array
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from operator import mul
from typing import TYPE_CHECKING

from core.grounding.answerability import (
    OCCLUDED_AGAINST,
    Likenesses,
    question_words,
    shortened_questions,
    surrounding_words,
)
from core.grounding.candidates import candidate_sentences
from core.grounding.scales import CosineScale, scale_of
from core.ports.embedder import TextKind
from core.text.language import detect_language

if TYPE_CHECKING:
    from core.grounding.extraction import Ranking
    from core.knowledge import Passage
    from core.ports.embedder import Embedder

Floats = Sequence[float]


class LikenessMeter:
    """Embeds questions, sentences and words through one embedder.

    Keeps the vectors of the last `capacity` texts, 4 bytes a dimension each. The arithmetic is
    done in a thread; the embedder sees to its own.
    """

    def __init__(self, embedder: Embedder, *, capacity: int = 4_000) -> None:
        self._embedder = embedder
        self._capacity = capacity
        self._kept: OrderedDict[tuple[TextKind, str], Floats] = OrderedDict()

    async def of_sentences(self, question: str, passages: Sequence[Passage]) -> list[float]:
        """The likeness of each candidate sentence to the question, in order.

        Raises Unavailable where the embedder cannot serve.
        """
        texts = [sentence.text for _, sentence in candidate_sentences(passages)]
        (asked,) = await self._vectors([question], TextKind.QUERY)
        found = await self._vectors(texts, TextKind.DOCUMENT)
        scale = self._scale(question)
        return await asyncio.to_thread(lambda: [scale.likeness(_dot(asked, v)) for v in found])

    async def closer(self, ranking: Ranking) -> Likenesses:
        """The best sentences looked at closely. Raises Unavailable as above."""
        question = ranking.question.text
        if not ranking.scored:
            return Likenesses()
        best = [s.candidate.sentence.text for s in ranking.scored[:OCCLUDED_AGAINST]]
        words = question_words(question)
        others = surrounding_words(ranking.scored[0], ranking.passages)
        shortened = await self._vectors(shortened_questions(question), TextKind.QUERY)
        vectors = await self._vectors([*best, *words, *others], TextKind.DOCUMENT)
        scale = self._scale(question)
        sentence_vectors, word_vectors = vectors[: len(best)], vectors[len(best) :]
        return await asyncio.to_thread(
            lambda: Likenesses(
                _occluded(shortened, sentence_vectors, scale),
                _word_cosines(words, others, word_vectors),
            )
        )

    def _scale(self, question: str) -> CosineScale:
        return scale_of(self._embedder.name, detect_language(question))

    async def _vectors(self, texts: Sequence[str], kind: TextKind) -> list[Floats]:
        # Taken before the embedder is asked: meanwhile another call may put them out.
        known = {t: self._kept[kind, t] for t in texts if (kind, t) in self._kept}
        missing = [t for t in dict.fromkeys(texts) if t not in known]
        if missing:
            made = await self._embedder.embed(missing, kind)
            known |= {t: array("f", v) for t, v in zip(missing, made, strict=True)}
        self._remember(kind, known)
        return [known[t] for t in texts]

    def _remember(self, kind: TextKind, vectors: Mapping[str, Floats]) -> None:
        for text, vector in vectors.items():
            self._kept[kind, text] = vector
            self._kept.move_to_end((kind, text))
        while len(self._kept) > self._capacity:
            self._kept.popitem(last=False)


def _dot(one: Sequence[float], other: Sequence[float]) -> float:
    return float(sum(map(mul, one, other)))


def _occluded(
    shortened: Sequence[Floats], best: Sequence[Floats], scale: CosineScale
) -> list[list[float]]:
    return [[scale.likeness(_dot(each, sentence)) for sentence in best] for each in shortened]


def _word_cosines(
    words: Sequence[str], others: Sequence[str], vectors: Sequence[Floats]
) -> dict[str, dict[str, float]]:
    """Cosines after the words' mean is taken off, without which all words are alike."""
    if not words or not others:
        return {}
    mean = [sum(column) / len(vectors) for column in zip(*vectors, strict=True)]
    centred = [_unit([value - m for value, m in zip(v, mean, strict=True)]) for v in vectors]
    asked, around = centred[: len(words)], centred[len(words) :]
    return {
        word: {other: _dot(v, w) for other, w in zip(others, around, strict=True)}
        for word, v in zip(words, asked, strict=True)
    }


def _unit(vector: Sequence[float]) -> list[float]:
    length = _dot(vector, vector) ** 0.5 or 1.0
    return [value / length for value in vector]
