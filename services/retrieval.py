"""Search over collections: by meaning and by words at once, fused by the core."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from core.call import Call
from core.clock import Clock
from core.errors import NotFound, Unavailable
from core.generation import ModelError
from core.identifiers import ChunkId, EmbedderName, Seconds
from core.knowledge import Collection, Passage, Signal, Vector
from core.ports.embedder import TextKind
from core.ports.indexes import Hit, KeywordIndex, VectorIndex
from core.ports.retriever import SearchRequest, SearchResult, Strategy
from core.ports.state import State
from core.retrieval.fusion import FusedHit, FusionPolicy, fuse
from core.text.language import understands
from services.embedders import Embedders, Paying, unpaid
from services.indexing import IndexFollower

Result = TypeVar("Result")

_FEATURE = "retrieval"
"""What the vector of a query is booked under, where it costs something."""
_DEPTH = 50
"""Hits taken of each signal before fusion; more changes the first ten hardly ever."""
_LAST_WORDS = Seconds(0.05)
"""Left of the deadline for fusing and fetching what was found."""


@dataclass(frozen=True, slots=True)
class _Found:
    """What one collection gave; None is a signal that was late or down."""

    collection: Collection
    keyword: Sequence[Hit] | None
    dense: Sequence[Hit] | None
    dense_trusted: bool


class Retrieval:
    """The Retriever of a process that hosts its own indexes."""

    def __init__(
        self,
        state: State,
        vectors: VectorIndex,
        keywords: KeywordIndex,
        embedders: Embedders,
        indexes: IndexFollower,
        clock: Clock,
        fusion: FusionPolicy,
        paying: Paying = unpaid,
    ) -> None:
        self._state = state
        self._vectors = vectors
        self._keywords = keywords
        self._embedders = embedders
        self._indexes = indexes
        self._clock = clock
        self._fusion = fusion
        self._paying = paying

    async def search(self, call: Call, request: SearchRequest) -> SearchResult:
        """As the port says. The collections are searched at once, each signal by itself."""
        collections = await self._collections(call, request)
        queries = await self._embedded(call, request, collections)
        found = await asyncio.gather(
            *(self._search_one(call, request, c, queries.get(c.embedder)) for c in collections)
        )
        missing = sorted({name for each in found for name in _missing(each, request.strategy)})
        if all(each.keyword is None and each.dense is None for each in found):
            raise Unavailable("no index could be searched in time", signals=", ".join(missing))
        ranked = sorted(
            (
                (hit, each.collection)
                for each in found
                for hit in self._fused(each, request.strategy)
            ),
            key=lambda pair: (-pair[0].score, pair[0].chunk),
        )[: request.limit]
        return SearchResult(await self._passages(call, ranked), tuple(missing))

    async def _collections(self, call: Call, request: SearchRequest) -> Sequence[Collection]:
        """The collections, their indexes brought up to what the state holds.

        That includes every write that has returned a position, so `at_least` needs no wait.
        """
        async with self._state.snapshot(call.principal.tenant) as view:
            found = [(name, await view.knowledge.collection(name)) for name in request.collections]
        collections: list[Collection] = []
        for name, collection in found:
            if collection is None:
                raise NotFound("collection", name)
            await self._indexes.follow(collection, collection.position)
            collections.append(collection)
        return collections

    async def _embedded(
        self, call: Call, request: SearchRequest, collections: Sequence[Collection]
    ) -> Mapping[EmbedderName, Vector | None]:
        """The query once for each embedder that the collections need; None where it was late."""
        if request.strategy is Strategy.KEYWORD:
            return {}
        embedders = {c.embedder: self._embedders.get(c.embedder) for c in collections}
        paid = [self._paying(call, embedder, _FEATURE) for embedder in embedders.values()]
        vectors = await asyncio.gather(
            *(
                self._in_time(call, partial(each.embed, [request.query], TextKind.QUERY))
                for each in paid
            )
        )
        return {
            name: vector[0] if vector else None
            for name, vector in zip(embedders, vectors, strict=True)
        }

    async def _search_one(
        self, call: Call, request: SearchRequest, collection: Collection, query: Vector | None
    ) -> _Found:
        key, depth = collection.index_key, max(_DEPTH, request.limit)
        keyword = dense = None
        if request.strategy is not Strategy.VECTOR:
            keyword = partial(self._keywords.search, key, request.query, depth, where=request.where)
        if query is not None:
            dense = partial(self._vectors.search, key, query, depth, where=request.where)
        by_words, by_meaning = await asyncio.gather(
            self._in_time(call, keyword), self._in_time(call, dense)
        )
        languages = self._embedders.get(collection.embedder).languages
        return _Found(collection, by_words, by_meaning, understands(languages, request.query))

    def _fused(self, found: _Found, strategy: Strategy) -> Sequence[FusedHit]:
        match strategy:
            case Strategy.VECTOR:
                return _alone("cosine", found.dense or ())
            case Strategy.KEYWORD:
                return _alone("bm25", found.keyword or ())
            case Strategy.HYBRID:
                trusted = found.dense_trusted and found.dense is not None
                return fuse(
                    found.keyword or (), found.dense or (), self._fusion, dense_trusted=trusted
                )

    async def _in_time(
        self, call: Call, work: Callable[[], Awaitable[Result]] | None
    ) -> Result | None:
        """The result, or None where the signal is not wanted, late or down.

        The work is begun here: a call that ends before that leaves nothing that nobody awaits.
        """
        if work is None:
            return None
        left = call.deadline - _LAST_WORDS - self._clock.monotonic()
        try:
            async with asyncio.timeout(max(0.0, left)):
                return await work()
        except (TimeoutError, Unavailable, ModelError):
            return None

    async def _passages(
        self, call: Call, ranked: Sequence[tuple[FusedHit, Collection]]
    ) -> tuple[Passage, ...]:
        """The chunks behind the hits; one that was deleted meanwhile is left out."""
        wanted: dict[Collection, list[ChunkId]] = {}
        for hit, collection in ranked:
            wanted.setdefault(collection, []).append(hit.chunk)
        async with self._state.snapshot(call.principal.tenant) as view:
            stored = {
                collection.key: await view.knowledge.chunks(collection.key.name, ids)
                for collection, ids in wanted.items()
            }
        passages: list[Passage] = []
        for hit, collection in ranked:
            known = stored[collection.key].get(hit.chunk)
            if known is None:
                continue
            chunk, document = known[0].chunk, known[1]
            passages.append(
                Passage(
                    chunk,
                    collection.key.name,
                    document.title,
                    document.uri,
                    hit.score,
                    hit.signals,
                    document.attributes,
                )
            )
        return tuple(passages)


def _missing(found: _Found, strategy: Strategy) -> Iterator[str]:
    """The signals that were wanted and did not come."""
    if found.keyword is None and strategy is not Strategy.VECTOR:
        yield "bm25"
    if found.dense is None and strategy is not Strategy.KEYWORD:
        yield "cosine"


def _alone(name: str, hits: Sequence[Hit]) -> Sequence[FusedHit]:
    """One signal's ranking as it is: its own scores, in its own unit."""
    return [
        FusedHit(hit.chunk, hit.score, (Signal(name, hit.score, rank, 1.0, hit.score),))
        for rank, hit in enumerate(hits, start=1)
    ]
