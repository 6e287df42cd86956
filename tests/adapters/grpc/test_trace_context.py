"""The caller's trace, from the metadata of a call to the provider's headers."""

from __future__ import annotations

from typing import Any

import pytest

from colonnade.v1.models_pb2 import GenerateRequest
from core.call import Call
from core.identifiers import ApiKeyId, CallId
from core.principal import Principal
from core.trace import TraceContext
from fakes.far_gateway import far_gateway
from fakes.gateway_node import gateway_node
from fakes.provider_models import PROVIDERS, provider
from fakes.provider_server import Plan
from fakes.served_node import served_node, user
from fakes.turn_node import ANN, a_model

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
TRACE = (("traceparent", PARENT), ("tracestate", "a=1"))


def told(headers: Any) -> tuple[str | None, str | None]:
    return headers.get("traceparent"), headers.get("tracestate")


@pytest.mark.parametrize("format", PROVIDERS)
async def test_a_provider_that_may_is_told(format: str) -> None:
    plan = Plan.of("Hello.")
    async with (
        provider(format, plan, forward_trace=True) as (model, server),
        served_node(model) as node,
    ):
        request = GenerateRequest(messages=[user("Hi")])
        await node.stubs.models.Generate(request, metadata=(*node.key(), *TRACE))
        async for _ in node.stubs.models.StreamGenerate(request, metadata=(*node.key(), *TRACE)):
            pass
        await node.stubs.models.Generate(request, metadata=node.key())
        broken = (("traceparent", PARENT + "!"), ("tracestate", "a=1"))
        await node.stubs.models.Generate(request, metadata=(*node.key(), *broken))
        headers = [told(record.headers) for record in server.records]
        assert headers == [(PARENT, "a=1"), (PARENT, "a=1"), (None, None), (None, None)]


async def test_others_are_not() -> None:
    async with provider("chat", Plan.of("Hi")) as (model, server), served_node(model) as node:
        request = GenerateRequest(messages=[user("Hi")])
        await node.stubs.models.Generate(request, metadata=(*node.key(), *TRACE))
        assert told(server.records[0].headers) == (None, None)


async def test_it_travels_to_another_process() -> None:
    model = a_model()
    node = gateway_node(model)
    async with far_gateway(node.gateway, node.state, node.clock) as client:
        order = node.order()
        principal = Principal(order.unit.tenant, ANN, ApiKeyId("k"), frozenset({"*"}))
        trace = TraceContext(PARENT, "a=1")
        call = Call(principal, CallId("c"), order.deadline, trace=trace)
        async for _ in client.generate(call, order):
            pass
        assert [each.request.trace for each in model.calls] == [trace]
