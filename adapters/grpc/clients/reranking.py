"""The Reranking that another process hosts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import grpc

from adapters.grpc.clients.failures import ConnectionLost, domain_error
from adapters.grpc.clients.metadata import metadata_of
from adapters.grpc.rerank_messages import order_message, reranked
from colonnade.v1 import gateway_pb2
from colonnade.v1.gateway_pb2_grpc import ModelGatewayServiceStub
from core.call import Call
from core.clock import Clock
from core.errors import DeadlineExceeded, ModelsUnavailable
from core.identifiers import Seconds
from core.reranking import Reranked, RerankOrder

_PAUSES = (0.05, 0.2, 0.5)
"""Seconds before each further try."""
_LAST_WORDS = Seconds(0.25)
"""What the other process gets beyond the deadline, to say itself how it ended."""


class RerankingClient:
    """Reranks in another process, on behalf of this one's callers.

    A call whose connection broke is sent again, three times at most: each attempt is on record
    where it was made. The channel belongs to whoever opened it.
    """

    def __init__(self, channel: grpc.aio.Channel, key: Callable[[], str], clock: Clock) -> None:
        self._stub = ModelGatewayServiceStub(channel)
        self._key = key
        self._clock = clock

    async def rerank(self, call: Call, order: RerankOrder) -> Reranked:
        """See Reranking."""
        request = gateway_pb2.RunRerankRequest(request=order_message(order))
        for pause in (*_PAUSES, None):
            try:
                answer = await self._sent(call, request)
            except ConnectionLost as lost:
                if pause is None or self._left(call) <= pause:
                    raise ModelsUnavailable([("models", "connection")]) from lost
                await asyncio.sleep(pause)
            else:
                made = reranked(answer)
                made.note(call.facts)
                return made
        raise AssertionError("the last try returns or raises")

    async def _sent(
        self, call: Call, request: gateway_pb2.RunRerankRequest
    ) -> gateway_pb2.RunRerankResponse:
        left = self._left(call)
        if left <= 0:
            raise DeadlineExceeded("no time was left for the reranker")
        metadata = metadata_of(self._key(), call)
        try:
            return await self._stub.RunRerank(
                request, timeout=left + _LAST_WORDS, metadata=metadata
            )
        except grpc.aio.AioRpcError as error:
            raise domain_error(error) from error

    def _left(self, call: Call) -> Seconds:
        return Seconds(call.deadline - self._clock.monotonic())
