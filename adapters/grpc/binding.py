"""Binds plain servicer functions to `grpc.aio`, each with its scope from the contract."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass

import grpc
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from adapters.grpc.chain import Chain, Context, Outgoing
from adapters.grpc.streaming import SerializedMessages
from colonnade.v1 import options_pb2, turns_pb2
from core.call import Call
from core.errors import InvalidInput

Unary = Callable[[Message, Call], Awaitable[Message]]
Streamed = Callable[[Message, Call], AsyncGenerator[Message, None]]
Followed = Callable[[Message, Call], Outgoing]
Collected = Callable[[AsyncIterator[Message], Call], Awaitable[Message]]

_LOGGED = turns_pb2.TurnEvents.DESCRIPTOR.full_name
"""What is streamed as it stands in a turn's log."""


def bind(service: ServiceDescriptor, servicer: object, chain: Chain) -> grpc.GenericRpcHandler:
    """A handler for every method of `service`: the servicer's function of the same name.

    Raises AttributeError for a method that the servicer lacks, so that a contract that has grown
    is noticed at start-up and not by a caller.
    """
    handlers = {
        method.name: _handler(method, getattr(servicer, method.name), chain)
        for method in service.methods
    }
    return grpc.method_handlers_generic_handler(service.full_name, handlers)


def scope_of(method: MethodDescriptor) -> str:
    """The scope that a caller needs for the method; "" is open to nobody."""
    scope: str = method.GetOptions().Extensions[options_pb2.scope]
    return scope


def _handler(
    method: MethodDescriptor, function: Callable[..., object], chain: Chain
) -> grpc.RpcMethodHandler[bytes, bytes]:
    """What gRPC calls, with bytes for bytes: nobody's message is parsed before they are let in."""
    bound = _Bound(method.full_name, scope_of(method), GetMessageClass(method.input_type), chain)
    if method.client_streaming:
        return grpc.stream_unary_rpc_method_handler(bound.collected(function))
    if method.output_type.full_name == _LOGGED:
        return grpc.unary_stream_rpc_method_handler(bound.followed(function))
    if method.server_streaming:
        return grpc.unary_stream_rpc_method_handler(bound.streamed(function))
    return grpc.unary_unary_rpc_method_handler(bound.unary(function))


@dataclass(frozen=True, slots=True)
class _Bound:
    """A method of the contract, in front of its servicer's function."""

    name: str
    scope: str
    request: type[Message]
    chain: Chain

    def parsed(self, data: bytes) -> Message:
        """The message. Raises InvalidInput where it is none."""
        try:
            return self.request.FromString(data)
        except DecodeError as error:
            kind = self.request.DESCRIPTOR.full_name
            raise InvalidInput.at("request", f"is no {kind} in protobuf") from error

    def unary(self, function: Callable[..., object]) -> Callable[..., object]:
        work: Unary = function  # type: ignore[assignment]  # bound by the method's name

        async def handle(data: bytes, context: Context) -> bytes:
            return await self.chain.unary(
                self.name, self.scope, context, lambda call: work(self.parsed(data), call)
            )

        return handle

    def streamed(self, function: Callable[..., object]) -> Callable[..., object]:
        work: Streamed = function  # type: ignore[assignment]  # bound by the method's name
        return self.chain.streamed(
            self.name,
            self.scope,
            self.parsed,
            lambda request, call: SerializedMessages(work(request, call)),
        )

    def followed(self, function: Callable[..., object]) -> Callable[..., object]:
        """For what was serialised for a turn's log: it is sent as it is."""
        work: Followed = function  # type: ignore[assignment]  # bound by the method's name
        return self.chain.streamed(self.name, self.scope, self.parsed, work)

    def collected(self, function: Callable[..., object]) -> Callable[..., object]:
        work: Collected = function  # type: ignore[assignment]  # bound by the method's name

        async def handle(pieces: AsyncIterator[bytes], context: Context) -> bytes:
            async def with_pieces(call: Call) -> Message:
                async with aclosing(self._each(pieces)) as requests:
                    return await work(requests, call)

            return await self.chain.unary(self.name, self.scope, context, with_pieces)

        return handle

    async def _each(self, pieces: AsyncIterator[bytes]) -> AsyncGenerator[Message, None]:
        async for data in pieces:
            yield self.parsed(data)
