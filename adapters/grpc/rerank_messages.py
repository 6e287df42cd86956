"""Requests and answers of `Rerank`, between contract and domain."""

from __future__ import annotations

from collections.abc import Iterator

from adapters.grpc import values
from adapters.grpc.gateway_catalog import amount, exact
from adapters.grpc.violations import check, too_long
from colonnade.v1 import gateway_pb2, rerank_pb2
from core.errors import FieldViolation
from core.reranking import Ranked, Reranked, RerankOrder

_LONGEST_QUERY, _LONGEST_DOCUMENT, _LONGEST_NAME = 8_000, 32_000, 200
_MOST_DOCUMENTS, _MOST_BYTES = 1_000, 4 * 1024 * 1024


def order_of(request: rerank_pb2.RerankRequest) -> RerankOrder:
    """What is to be put in order. Raises InvalidInput with all that is wrong."""
    check(_violations(request))
    return RerankOrder(
        query=request.query,
        documents=tuple(request.documents),
        model=request.model,
        limit=request.limit or None,
        feature=request.feature,
    )


def order_message(order: RerankOrder) -> rerank_pb2.RerankRequest:
    """The same, back."""
    return rerank_pb2.RerankRequest(
        query=order.query,
        documents=order.documents,
        model=order.model,
        limit=order.limit or 0,
        feature=order.feature,
    )


def response(made: Reranked) -> rerank_pb2.RerankResponse:
    """The order that was found, and what it came to."""
    counted = made.usage.prompt is not None
    return rerank_pb2.RerankResponse(
        model=made.model,
        results=[rerank_pb2.RerankResult(index=r.index, score=r.score) for r in made.ranked],
        usage=values.usage(made.usage, estimated=made.estimated) if counted else None,
        cost=values.money(made.cost, made.currency),
    )


def far_response(made: Reranked) -> gateway_pb2.RunRerankResponse:
    """The same for another process of ours, its cost with all its digits."""
    told = response(made)
    told.cost.currency_code = made.currency
    return gateway_pb2.RunRerankResponse(response=told, cost=exact(made.cost))


def reranked(message: gateway_pb2.RunRerankResponse) -> Reranked:
    """What another process of ours told."""
    told = message.response
    return Reranked(
        model=told.model,
        ranked=tuple(Ranked(result.index, result.score) for result in told.results),
        usage=values.tokens(told.usage),
        cost=amount(message.cost),
        currency=told.cost.currency_code,
        estimated=told.usage.estimated,
    )


def _violations(request: rerank_pb2.RerankRequest) -> Iterator[FieldViolation]:
    yield from too_long(request.model, _LONGEST_NAME, "model")
    yield from too_long(request.feature, _LONGEST_NAME, "feature")
    yield from too_long(request.query, _LONGEST_QUERY, "query")
    if not request.query.strip():
        yield FieldViolation("query", "is blank; say what is looked for")
    if not 0 <= request.limit <= _MOST_DOCUMENTS:
        yield FieldViolation("limit", f"must be 1 to {_MOST_DOCUMENTS}, or left out")
    count = len(request.documents)
    if not 1 <= count <= _MOST_DOCUMENTS:
        yield FieldViolation("documents", f"has {count}; 1 to {_MOST_DOCUMENTS} are taken")
        return
    for index, text in enumerate(request.documents):
        if not 1 <= len(text) <= _LONGEST_DOCUMENT:
            yield FieldViolation(
                f"documents[{index}]",
                f"has {len(text)} characters; 1 to {_LONGEST_DOCUMENT} are taken",
            )
    if sum(len(text.encode()) for text in request.documents) > _MOST_BYTES:
        yield FieldViolation("documents", f"have more than {_MOST_BYTES} bytes together")
