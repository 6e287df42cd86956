"""The gRPC server of a process: our services, health and reflection, from start to drain."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health
from grpc_reflection.v1alpha import reflection, reflection_pb2, reflection_pb2_grpc

from adapters.grpc.binding import bind
from adapters.grpc.chain import Chain, Context
from adapters.grpc.errors import status_of
from core.errors import ColonnadeError
from core.identifiers import Seconds

_WHOLE_SERVER = ""
_Watcher = grpc.aio.ServicerContext[health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse]


@dataclass(frozen=True, slots=True)
class Tls:
    """A server certificate and its key, PEM.

    With `client_ca` only clients get in that show a certificate which it has signed.
    """

    certificate: bytes
    key: bytes
    client_ca: bytes | None = None


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """How the server listens. `open_reflection`: without a key, which only suits loopback."""

    address: str = "127.0.0.1:7600"
    message_bytes: int = 16 * 1024 * 1024
    tls: Tls | None = None
    reflection: bool = True
    open_reflection: bool = False


class GrpcServer:
    """Serves the given servicers. Open it once, drain it, then it is done."""

    def __init__(
        self,
        servicers: Mapping[ServiceDescriptor, object],
        chain: Chain,
        options: ServerOptions,
    ) -> None:
        self._chain = chain
        self._options = options
        self._names = [service.full_name for service in servicers]
        self._health = _Health()
        self._server = grpc.aio.server(options=channel_options(options))
        self._server.add_generic_rpc_handlers(
            tuple(bind(service, servicer, chain) for service, servicer in servicers.items())
        )
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        if options.reflection:
            names = [*self._names, reflection.SERVICE_NAME, "grpc.health.v1.Health"]
            guarded = _GuardedReflection(names, chain, options.open_reflection)
            reflection_pb2_grpc.add_ServerReflectionServicer_to_server(  # type: ignore[no-untyped-call]
                guarded, self._server
            )

    async def open(self) -> int:
        """Listen and serve; the port. Raises OSError with what to do where it is taken."""
        port = listen(self._server, self._options)
        await self._server.start()
        await self._tell(health_pb2.HealthCheckResponse.SERVING)
        return port

    async def drain(self) -> None:
        """Take no new calls; those that run go on."""
        self._chain.draining = True
        await self._health.enter_graceful_shutdown()

    async def finish(self, patience: Seconds) -> None:
        """Wait for the calls that run, for so long at most."""
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await self._chain.until_empty()

    async def close(self, grace: Seconds) -> None:
        """End what still runs after `grace`, and let go of the port. Idempotent."""
        self._health.close()
        await self._server.stop(grace)

    async def _tell(self, status: int) -> None:
        for name in (_WHOLE_SERVER, *self._names):
            await self._health.set(name, status)


class _Health(health.HealthServicer):
    """Health, whose watchers don't keep a server that closes from doing so."""

    def __init__(self) -> None:
        super().__init__()
        self._watching: set[asyncio.Task[None]] = set()

    async def Watch(self, request: health_pb2.HealthCheckRequest, context: _Watcher) -> None:
        """Tell the status, and each change of it, until the watcher leaves or the server closes."""
        task = asyncio.current_task()
        assert task is not None  # gRPC runs each call in one
        self._watching.add(task)
        try:
            await super().Watch(request, context)
        except asyncio.CancelledError:
            return  # nobody is there who could be told anything
        finally:
            self._watching.discard(task)

    def close(self) -> None:
        """Let the watchers go. Idempotent."""
        for task in self._watching:
            task.cancel()


class _GuardedReflection(reflection_pb2_grpc.ServerReflectionServicer):
    """Reflection for any principal; what the API looks like is nobody else's business."""

    def __init__(self, names: Sequence[str], chain: Chain, open_to_all: bool) -> None:
        self._answers = reflection.aio.ReflectionServicer(names)
        self._chain = chain
        self._open = open_to_all

    async def ServerReflectionInfo(
        self,
        request_iterator: AsyncIterator[reflection_pb2.ServerReflectionRequest],
        context: Context,
    ) -> AsyncIterator[reflection_pb2.ServerReflectionResponse]:
        """Answer each question in turn."""
        if not self._open:
            try:
                await self._chain.principal_of(context)
            except ColonnadeError as error:
                status = status_of(error, self._chain.new_call_id())
                await context.abort(status.code, status.message, status.details)
        responses: AsyncIterator[reflection_pb2.ServerReflectionResponse]
        responses = self._answers.ServerReflectionInfo(request_iterator, context)  # type: ignore[assignment]  # the stubs take it for a coroutine
        async for response in responses:
            yield response


def listen(server: grpc.aio.Server, options: ServerOptions) -> int:
    """Take the address for a server that is not started yet; the port. Raises OSError."""
    address, tls = options.address, options.tls
    try:
        if tls is None:
            return server.add_insecure_port(address)
        pair = (tls.key, tls.certificate)
        credentials = grpc.ssl_server_credentials(
            [pair], tls.client_ca, require_client_auth=tls.client_ca is not None
        )
        return server.add_secure_port(address, credentials)
    except RuntimeError as taken:
        raise OSError(
            f"cannot listen on {address}: another process has the port, or the address is "
            "not this machine's; set server.address"
            + ("" if tls is None else "; or the certificate and its key are no pair in PEM")
        ) from taken


def channel_options(options: ServerOptions) -> list[tuple[str, int]]:
    """Bounds of one connection, and how long a silent one is kept."""
    return [
        ("grpc.max_receive_message_length", options.message_bytes),
        ("grpc.max_send_message_length", options.message_bytes),
        ("grpc.so_reuseport", 0),
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
        ("grpc.http2.max_ping_strikes", 5),
        ("grpc.max_concurrent_streams", 1024),
    ]
