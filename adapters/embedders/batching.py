"""Texts made fit for a model, and cut into batches."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """How much a model is given at once. Small batches let a query pass between two of them.

    `characters` counts a batch as it is padded: its longest text times the number of texts.
    """

    texts: int = 8
    characters: int = 1_200


def batches(texts: Sequence[str], limits: BatchLimits) -> Iterator[list[int]]:
    """The places of `texts` in batches of like length, shortest first; each at least one text."""
    batch: list[int] = []
    for place in sorted(range(len(texts)), key=lambda place: len(texts[place])):
        full = len(batch) == limits.texts
        if batch and (full or (len(batch) + 1) * len(texts[place]) > limits.characters):
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch


def all_tokens(counts: Sequence[int | None]) -> int | None:
    """Of all batches together; unknown as soon as one is."""
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


def fit_text(text: str, characters: int) -> str:
    """At most `characters` of `text`, as NFKC without NUL and lone surrogates.

    The models' own tokenizers normalise to NFKC or coarser; doing it here keeps code points that
    grow eighteenfold (U+FDFA) out of native code, which reckons with less. NUL ends a C string,
    and lone surrogates have no UTF-8.
    """
    normal = unicodedata.normalize("NFKC", text[:characters])[:characters]
    return normal.replace("\0", " ").encode("utf-8", "replace").decode()
