"""Binds plain servicer functions to `grpc.aio`, each with its scope from the contract."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import TypeVar

import grpc
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from adapters.grpc.chain import Chain, Context, Outgoing
from colonnade.v1 import options_pb2
from core.call import Call

Unary = Callable[[Message, Call], Awaitable[Message]]
Streamed = Callable[[Message, Call], AsyncGenerator[Outgoing, None]]
Collected = Callable[[AsyncIterator[Message], Call], Awaitable[Message]]
Servicer = TypeVar("Servicer")


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
) -> grpc.RpcMethodHandler[Message, Message]:
    name, scope = method.full_name, scope_of(method)
    parse = GetMessageClass(method.input_type).FromString
    if method.client_streaming:
        return grpc.stream_unary_rpc_method_handler(
            _collected(name, scope, function, chain), parse, _serialize
        )
    if method.server_streaming:
        return grpc.unary_stream_rpc_method_handler(
            _streamed(name, scope, function, chain), parse, _serialize
        )
    return grpc.unary_unary_rpc_method_handler(
        _unary(name, scope, function, chain), parse, _serialize
    )


def _serialize(message: Outgoing) -> bytes:
    """What was serialised for the log goes out as it is."""
    return message if isinstance(message, bytes) else message.SerializeToString()


def _unary(
    name: str, scope: str, function: Callable[..., object], chain: Chain
) -> Callable[..., object]:
    work: Unary = function  # type: ignore[assignment]  # bound by the method's name

    async def handle(request: Message, context: Context) -> Message:
        return await chain.unary(name, scope, context, lambda call: work(request, call))

    return handle


def _streamed(
    name: str, scope: str, function: Callable[..., object], chain: Chain
) -> Callable[..., object]:
    work: Streamed = function  # type: ignore[assignment]  # bound by the method's name

    async def handle(request: Message, context: Context) -> None:
        await chain.stream(name, scope, context, lambda call: work(request, call))

    return handle


def _collected(
    name: str, scope: str, function: Callable[..., object], chain: Chain
) -> Callable[..., object]:
    work: Collected = function  # type: ignore[assignment]  # bound by the method's name

    async def handle(requests: AsyncIterator[Message], context: Context) -> Message:
        return await chain.unary(name, scope, context, lambda call: work(requests, call))

    return handle
