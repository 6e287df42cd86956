"""ModelGatewayService: the gateway of this process for the others of the installation."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from adapters.grpc import rerank_messages
from adapters.grpc.gateway_events import event_message
from adapters.grpc.gateway_orders import order_from, part_from
from colonnade.v1 import gateway_events_pb2, gateway_pb2
from core.call import Call
from core.clock import Clock
from core.errors import InvalidInput, PermissionRefused
from core.ports.model_gateway import GenerationOrder, ModelGateway
from core.ports.reranking import Reranking
from core.ports.token_counter import TokenCounter
from core.principal import DELEGATE_SCOPE
from core.prompting.prompt import render


class ModelGatewayServicer:
    """One function a method of the contract."""

    def __init__(
        self, gateway: ModelGateway, counter: TokenCounter, clock: Clock, reranking: Reranking
    ) -> None:
        self._gateway = gateway
        self._reranking = reranking
        self._counter = counter
        self._clock = clock

    async def RunGeneration(
        self, request: gateway_pb2.RunGenerationRequest, call: Call
    ) -> AsyncGenerator[gateway_events_pb2.RunGenerationResponse, None]:
        """The events as they happen."""
        order = self._order(request)
        _check_owner(order, call)
        async with aclosing(self._gateway.generate(call, order)) as events:
            async for event in events:
                yield event_message(event)

    async def RunRerank(
        self, request: gateway_pb2.RunRerankRequest, call: Call
    ) -> gateway_pb2.RunRerankResponse:
        """Documents in order, on behalf of the caller who is named."""
        order = rerank_messages.order_of(request.request)
        return rerank_messages.far_response(await self._reranking.rerank(call, order))

    async def CountPrompt(
        self, request: gateway_pb2.CountPromptRequest, call: Call
    ) -> gateway_pb2.CountPromptResponse:
        """How many tokens there are."""
        del call
        try:
            messages = render(tuple(map(part_from, request.messages)))
        except ValueError as unknown:
            raise InvalidInput.at("messages", f"this release does not know it: {unknown}") from None
        tokens = await self._counter.count(messages, request.model)
        return gateway_pb2.CountPromptResponse(tokens=tokens)

    def _order(self, request: gateway_pb2.RunGenerationRequest) -> GenerationOrder:
        try:
            return order_from(request, self._clock.monotonic())
        except ValueError as unknown:
            raise InvalidInput.at("request", f"this release does not know it: {unknown}") from None


def _check_owner(order: GenerationOrder, call: Call) -> None:
    """A call for one tenant never spends another's money."""
    principal = call.principal
    if (order.unit.tenant, order.unit.user) != (principal.tenant, principal.user):
        raise PermissionRefused(
            "the unit of spending is not the caller's own", scope=DELEGATE_SCOPE
        )
