"""An embedder without a model: texts that share words, or pairs of CJK characters, are near."""

from __future__ import annotations

import asyncio
import hashlib
import math
import re
from array import array
from collections.abc import Sequence

from core.errors import Unavailable
from core.identifiers import EmbedderName
from core.knowledge import Vector
from core.ports.embedder import TextKind

_CJK = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
_WORD = re.compile(rf"[{_CJK}]+|(?:(?![{_CJK}])\w)+")


class FakeEmbedder:
    """Hashed bags of words. `embedded` has every text that was embedded, in order.

    Set `missing` to let every call fail as if the weights were not there.
    """

    def __init__(
        self,
        name: str = "fake@1",
        dimensions: int = 256,
        languages: frozenset[str] = frozenset(),
    ) -> None:
        self._name = EmbedderName(name)
        self._dimensions = dimensions
        self._languages = languages
        self._closed = False
        self.missing = False
        self.embedded: list[tuple[str, TextKind]] = []

    @property
    def name(self) -> EmbedderName:
        return self._name

    @property
    def dimensions(self) -> int:
        return self._dimensions

    @property
    def languages(self) -> frozenset[str]:
        return self._languages

    async def embed(self, texts: Sequence[str], kind: TextKind) -> list[Vector]:
        vectors: list[Vector] = []
        for text in texts:
            await asyncio.sleep(0)
            if self._closed or self.missing:
                cause = "is closed" if self._closed else "has no weights"
                raise Unavailable(f"the embedder {self._name} {cause}")
            self.embedded.append((text, kind))
            vectors.append(bag_of_words(text, self._dimensions))
        return vectors

    async def close(self) -> None:
        self._closed = True


def bag_of_words(text: str, dimensions: int) -> Vector:
    """Each word adds one to its own few places; then the length is made 1."""
    values = [0.0] * dimensions
    for word in _words(text) or [""]:
        digest = hashlib.blake2b(word.encode("utf-8", "replace"), digest_size=8).digest()
        for place in (digest[0:3], digest[3:6]):
            values[int.from_bytes(place) % dimensions] += 1.0
    length = math.sqrt(sum(value * value for value in values))
    return memoryview(array("f", [value / length for value in values]))


def _words(text: str) -> list[str]:
    found: list[str] = []
    for piece in _WORD.findall(text.casefold()):
        if re.match(f"[{_CJK}]", piece) and len(piece) > 1:
            found += [piece[at : at + 2] for at in range(len(piece) - 1)]
        else:
            found.append(piece)
    return found
