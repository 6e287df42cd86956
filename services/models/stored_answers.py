"""Answers that any process may give again, as rows of the state."""

from __future__ import annotations

import asyncio

from core.canonical import digest
from core.clock import Clock
from core.identifiers import Seconds
from core.ports.answer_codec import AnswerCodec
from core.ports.cache_observer import LookUp
from core.ports.cache_rows import CachedRow
from services.models.cache_store import CacheStore
from services.models.response_cache import CachedAnswer, CacheKey

KIND = "answer"


class StoredAnswers:
    """Finds answers that some process was given, and keeps those of this one."""

    def __init__(self, store: CacheStore, codec: AnswerCodec, clock: Clock, lasts: Seconds) -> None:
        self._store = store
        self._codec = codec
        self._clock = clock
        self._lasts = lasts

    async def find(self, key: CacheKey, longest: Seconds | None) -> CachedAnswer | None:
        """The answer, if one is kept that is not older than `longest`."""
        place = _place(key)
        row = (await self._store.find(key.tenant, KIND, [place])).get(place)
        answer = None if row is None else self._answer(row)
        if row is None or answer is None:
            return None
        age = Seconds(self._clock.monotonic() - answer.at)
        if age >= self._lasts or (longest is not None and age > longest):
            self._store.told(KIND, LookUp.MISS)
            return None
        self._store.told(KIND, LookUp.HIT)
        return answer

    def keep(self, key: CacheKey, answer: CachedAnswer) -> None:
        """Have it written once its reader has it."""
        asyncio.get_running_loop().call_soon(self._keep, key, answer)

    def _keep(self, key: CacheKey, answer: CachedAnswer) -> None:
        body = self._codec.encode((answer.said, answer.completed))
        self._store.keep(key.tenant, KIND, _place(key), body, self._lasts)

    def _answer(self, row: CachedRow) -> CachedAnswer | None:
        found = self._codec.decode(row.body)
        if found is None:
            self._store.told(KIND, LookUp.UNREADABLE)
            return None
        said, completed = found
        age = max(0.0, (self._clock.now() - row.made_at).total_seconds())
        return CachedAnswer(tuple(said), completed, Seconds(self._clock.monotonic() - age))


def _place(key: CacheKey) -> str:
    return digest([key.about, key.content])
