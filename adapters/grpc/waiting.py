"""What a process serves that cannot serve yet: it lives, it is not ready, come back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from adapters.grpc.errors import status_of
from adapters.grpc.server import ServerOptions, channel_options, listen
from core.clock import NewId
from core.errors import Unavailable
from core.identifiers import CallId

_Context = grpc.aio.ServicerContext[bytes, bytes]
_HealthContext = grpc.aio.ServicerContext[
    health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse
]
_NOT_SERVING = health_pb2.HealthCheckResponse(status=health_pb2.HealthCheckResponse.NOT_SERVING)


@asynccontextmanager
async def not_serving(options: ServerOptions, why: str, new_id: NewId) -> AsyncIterator[None]:
    """For the length of a block, be NOT_SERVING at the server's address; calls are told `why`.

    They may be sent again. Raises OSError where the address is taken.
    """
    server = grpc.aio.server(options=channel_options(options))
    health_pb2_grpc.add_HealthServicer_to_server(_NotReady(), server)
    server.add_generic_rpc_handlers((_Refusing(why, new_id),))
    listen(server, options)
    await server.start()
    try:
        yield
    finally:
        await server.stop(None)


class _NotReady(health_pb2_grpc.HealthServicer):
    """Health of a process that is none of its services yet."""

    async def Check(
        self, _: health_pb2.HealthCheckRequest, __: _HealthContext
    ) -> health_pb2.HealthCheckResponse:
        return _NOT_SERVING

    async def Watch(
        self, _: health_pb2.HealthCheckRequest, __: _HealthContext
    ) -> AsyncIterator[health_pb2.HealthCheckResponse]:
        yield _NOT_SERVING
        await asyncio.Event().wait()  # until this server is closed, and another one asked


class _Refusing(grpc.GenericRpcHandler):
    """Every other method, whatever it takes and gives."""

    def __init__(self, why: str, new_id: NewId) -> None:
        self._why = why
        self._new_id = new_id

    def service(self, _: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes]:
        return grpc.stream_stream_rpc_method_handler(self._refuse)

    async def _refuse(self, _: AsyncIterator[bytes], context: _Context) -> None:
        status = status_of(Unavailable(self._why), CallId(self._new_id("call")))
        await context.abort(status.code, status.message, status.details)
