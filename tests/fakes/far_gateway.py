"""A gateway behind a real connection: the servicer of one node, and the client of another.

async with far_gateway(node.gateway, node.state, node.clock) as client:
    client.generate(call, order)
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from adapters.grpc.chain import CallLimits, Chain
from adapters.grpc.clients.channel import ClientTls, MeshTarget, open_channel
from adapters.grpc.clients.gateway import SERVICE, GatewayClient
from adapters.grpc.gateway import ModelGatewayServicer
from adapters.grpc.server import GrpcServer, ServerOptions, Tls
from colonnade.v1 import gateway_pb2
from core.api_keys import ApiKey, digest_of
from core.call import Call
from core.clock import Clock
from core.errors import FeatureUnsupported
from core.identifiers import ApiKeyId, Seconds, TenantId, UserId
from core.messages import Message
from core.ports.model_gateway import ModelGateway
from core.ports.reranking import Reranking
from core.ports.state import State
from core.principal import DELEGATE_SCOPE
from core.reranking import Reranked, RerankOrder
from fakes.turn_node import FakeTelemetry
from services.authentication import Authenticator

MESH_SECRET = "ck_" + "ab" * 32
DESCRIPTOR = gateway_pb2.DESCRIPTOR.services_by_name["ModelGatewayService"]


class WordCounter:
    """A TokenCounter: one a word."""

    async def count(self, messages: Sequence[Message], model: str) -> int:
        return sum(len(message.text.split()) for message in messages)


class NoReranking:
    """A Reranking of a server that has none."""

    async def rerank(self, call: Call, order: RerankOrder) -> Reranked:
        raise FeatureUnsupported("this server has no reranker", feature="rerank")


async def let_in(state: State, secret: str = MESH_SECRET, *scopes: str) -> None:
    """A key of the process's own."""
    key = ApiKey(
        ApiKeyId(f"key-{digest_of(secret)[:6]}"),
        TenantId("mesh"),
        UserId("chat"),
        digest_of(secret),
        frozenset(scopes or {DELEGATE_SCOPE}),
        datetime.now(UTC),
    )
    async with state.transaction(key.tenant) as tx:
        tx.api_keys.insert(key)


@asynccontextmanager
async def gateway_server(
    gateway: ModelGateway,
    state: State,
    clock: Clock,
    address: str = "127.0.0.1:0",
    tls: Tls | None = None,
    reranking: Reranking | None = None,
) -> AsyncIterator[tuple[str, GrpcServer]]:
    """A server of the internal service, and its address."""
    ids = itertools.count(1)
    chain = Chain(
        Authenticator(state, clock),
        FakeTelemetry(),
        clock,
        lambda prefix: f"{prefix}-far-{next(ids)}",
        CallLimits(),
    )
    servicer = ModelGatewayServicer(gateway, WordCounter(), clock, reranking or NoReranking())
    server = GrpcServer(
        {DESCRIPTOR: servicer}, chain, ServerOptions(address, tls=tls, reflection=False)
    )
    port = await server.open()
    try:
        yield f"127.0.0.1:{port}", server
    finally:
        await server.close(Seconds(0.0))


@asynccontextmanager
async def gateway_client(
    *addresses: str, clock: Clock, secret: str = MESH_SECRET, tls: ClientTls | None = None
) -> AsyncIterator[GatewayClient]:
    """A client of the processes at these addresses."""
    target = MeshTarget(addresses, SERVICE, tls)
    client = GatewayClient(open_channel(target), lambda: secret, clock)
    try:
        yield client
    finally:
        await client.close()


@asynccontextmanager
async def far_gateway(
    gateway: ModelGateway, state: State, clock: Clock
) -> AsyncIterator[GatewayClient]:
    """The client of a server of this gateway."""
    await let_in(state)
    async with (
        gateway_server(gateway, state, clock) as (address, _),
        gateway_client(address, clock=clock) as client,
    ):
        yield client
