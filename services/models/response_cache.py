"""Answers that may be given again: exactly equal requests of one tenant, for a while."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from core.canonical import digest
from core.identifiers import Seconds, TenantId
from core.ports.model_gateway import Completed, GenerationOrder, Said
from services.models.trial import size

_OVERHEAD = 512
"""Bytes that an entry takes besides its text, about."""


@dataclass(frozen=True, slots=True)
class CacheKey:
    """A tenant, and the digest of all that makes an answer.

    `about` stands for the settings that it was made under.
    """

    tenant: TenantId
    content: str
    about: str = ""

    @classmethod
    def of(cls, order: GenerationOrder, about: str = "") -> CacheKey:
        """The key of this order."""
        content = (
            [(part.role, part.content) for part in order.parts],
            order.task,
            order.model,
            order.minimum_tier,
            order.only_extractive,
            order.constraints,
            order.options,
            order.language,
        )
        return cls(order.unit.tenant, digest(content), about)


@dataclass(frozen=True, slots=True)
class CachedAnswer:
    """What a model said, and how it ended. `at` is on the monotonic clock."""

    said: tuple[Said, ...]
    completed: Completed
    at: Seconds

    @property
    def weight(self) -> int:
        """Bytes that it takes, about."""
        return _OVERHEAD + sum(size(piece) for piece in self.said)


class ResponseCache:
    """Answers in memory, up to so many bytes; those that were not used for longest go first."""

    def __init__(self, most_bytes: int, lasts: Seconds, about: str = "") -> None:
        self.about = about
        self._most_bytes = most_bytes
        self._lasts = lasts
        self._entries: OrderedDict[CacheKey, CachedAnswer] = OrderedDict()
        self._bytes = 0

    def get(self, key: CacheKey, now: Seconds, longest: Seconds | None) -> CachedAnswer | None:
        """The answer, if one is kept that is not older than `longest`."""
        found = self._entries.get(key)
        if found is None:
            return None
        age = now - found.at
        if age >= self._lasts:
            self._drop(key)
            return None
        if longest is not None and age > longest:
            return None
        self._entries.move_to_end(key)
        return found

    def put(self, key: CacheKey, answer: CachedAnswer) -> None:
        """Keep it. One that is larger than the whole cache is not kept."""
        if answer.weight > self._most_bytes:
            return
        self._drop(key)
        self._entries[key] = answer
        self._bytes += answer.weight
        while self._bytes > self._most_bytes:
            self._drop(next(iter(self._entries)))

    def clear(self, about: str = "") -> None:
        """Forget every answer: under the new settings others might be given."""
        self.about = about
        self._entries.clear()
        self._bytes = 0

    def _drop(self, key: CacheKey) -> None:
        if (dropped := self._entries.pop(key, None)) is not None:
            self._bytes -= dropped.weight
