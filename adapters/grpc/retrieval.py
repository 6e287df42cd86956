"""RetrievalService: translation, and nothing else."""

from __future__ import annotations

import time
from collections.abc import Sequence

from adapters.grpc import event_messages, generation, names, values
from adapters.grpc.violations import below, each_of, known, together
from colonnade.v1 import retrieval_pb2
from core.call import Call
from core.errors import InvalidInput
from core.identifiers import CollectionName, Position
from core.knowledge import Passage
from core.ports.retriever import Retriever, SearchRequest, Strategy
from services.context import BuiltContext, ContextBuilder, ContextRequest

_STRATEGIES = {
    retrieval_pb2.SEARCH_STRATEGY_UNSPECIFIED: Strategy.HYBRID,
    retrieval_pb2.SEARCH_STRATEGY_HYBRID: Strategy.HYBRID,
    retrieval_pb2.SEARCH_STRATEGY_VECTOR: Strategy.VECTOR,
    retrieval_pb2.SEARCH_STRATEGY_KEYWORD: Strategy.KEYWORD,
}
_SEARCH_LIMIT, _CONTEXT_LIMIT, _CONTEXT_TOKENS = 10, 8, 1500


class RetrievalServicer:
    """One function a method of the contract."""

    def __init__(
        self, retriever: Retriever, contexts: ContextBuilder, default: CollectionName
    ) -> None:
        self._retriever = retriever
        self._contexts = contexts
        self._default = default

    async def Search(
        self, request: retrieval_pb2.SearchRequest, call: Call
    ) -> retrieval_pb2.SearchResponse:
        """The chunks that fit best."""
        began = time.perf_counter()
        strategy = known(_STRATEGIES, request.strategy, "strategy")
        wanted = self._wanted(request, request.limit or _SEARCH_LIMIT, strategy)
        found = await self._retriever.search(call, wanted)
        _note(call, found.passages)
        return retrieval_pb2.SearchResponse(
            hits=[_hit(passage) for passage in found.passages],
            degraded=bool(found.missing),
            duration=values.duration(time.perf_counter() - began),
        )

    async def BuildContext(
        self, request: retrieval_pb2.BuildContextRequest, call: Call
    ) -> retrieval_pb2.BuildContextResponse:
        """The chunks that fit into a budget, as a prompt would hold them."""
        wanted = self._wanted(request, request.limit or _CONTEXT_LIMIT, Strategy.HYBRID)
        with below():
            context = ContextRequest(
                search=wanted,
                max_tokens=request.max_tokens or _CONTEXT_TOKENS,
                model=request.model,
            )
        built = await self._contexts.build(call, context)
        _note(call, built.used)
        return _context(built)

    def _wanted(
        self,
        request: retrieval_pb2.SearchRequest | retrieval_pb2.BuildContextRequest,
        limit: int,
        strategy: Strategy,
    ) -> SearchRequest:
        together(
            lambda: _collections(request),
            lambda: generation.document_filter(request.filter),
        )
        with below():
            return SearchRequest(
                query=request.query,
                collections=_collections(request) or (self._default,),
                limit=limit,
                where=generation.document_filter(request.filter),
                strategy=strategy,
                at_least=Position(request.at_least_position),
            )


def _collections(
    request: retrieval_pb2.SearchRequest | retrieval_pb2.BuildContextRequest,
) -> tuple[CollectionName, ...]:
    collections = each_of(names.collection_id, request.collections, "collections")
    if len(set(collections)) < len(collections):
        raise InvalidInput.at("collections", "names one twice")
    if request.at_least_position and len(collections) != 1:
        raise InvalidInput.at("at_least_position", "only with exactly one collection")
    return collections


def _note(call: Call, passages: Sequence[Passage]) -> None:
    """For the log line: which documents were found."""
    found = dict.fromkeys(str(passage.chunk.document) for passage in passages)
    call.facts.retrieved_doc_ids = tuple(found)


def _context(built: BuiltContext) -> retrieval_pb2.BuildContextResponse:
    return retrieval_pb2.BuildContextResponse(
        text=built.text,
        tokens=built.tokens,
        used=[_hit(passage) for passage in built.used],
        dropped=[_hit(passage) for passage in built.dropped],
        degraded=built.degraded,
    )


def _hit(passage: Passage) -> retrieval_pb2.SearchHit:
    chunk = passage.chunk
    return retrieval_pb2.SearchHit(
        chunk=retrieval_pb2.Chunk(
            chunk_id=chunk.id,
            document=names.document_name(passage.collection, chunk.document),
            title=passage.title,
            uri=passage.uri,
            text=chunk.text,
            span=event_messages.source_span(chunk),
            attributes=passage.attributes,
        ),
        score=passage.score,
        explanation=[
            retrieval_pb2.ScoreComponent(
                name=signal.name,
                value=signal.value,
                rank=signal.rank,
                weight=signal.weight,
                contribution=signal.contribution,
            )
            for signal in passage.signals
        ],
    )
