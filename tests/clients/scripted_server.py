"""A real gRPC server on loopback whose chat follows a script; it can be cut and restarted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc

from adapters.grpc.errors import status_of
from colonnade.v1.chat_pb2 import CancelChatRequest, ChatRequest, GetTurnRequest, ResumeChatRequest
from colonnade.v1.chat_pb2_grpc import ChatServiceServicer, add_ChatServiceServicer_to_server
from colonnade.v1.turns_pb2 import Turn, TurnEvent, TurnEvents
from core.identifiers import CallId

Context = grpc.aio.ServicerContext[Any, Any]
Reply = Callable[[Context], AsyncIterator[TurnEvents]]


async def fail(context: Context, error: Exception) -> None:
    """End a call with an error as the server packs it."""
    status = status_of(error, CallId("call-7"))
    await context.abort(status.code, status.message, status.details)


def says(*events: TurnEvent, then: Exception | grpc.StatusCode | None = None) -> Reply:
    """A call that sends some events, each in a message of its own, and ends."""

    async def reply(context: Context) -> AsyncIterator[TurnEvents]:
        for event in events:
            yield TurnEvents(events=[event])
        if isinstance(then, grpc.StatusCode):
            await context.abort(then, "the connection broke")
        elif then is not None:
            await fail(context, then)

    return reply


def hangs(*events: TurnEvent) -> Reply:
    """A call that sends some events and then nothing, until its reader leaves."""

    async def reply(context: Context) -> AsyncIterator[TurnEvents]:
        for event in events:
            yield TurnEvents(events=[event])
        await asyncio.Event().wait()

    return reply


class ScriptedChat(ChatServiceServicer):
    """Each streaming call follows the next reply of the script; what was asked is kept."""

    def __init__(self, *replies: Reply) -> None:
        self._replies = iter(replies)
        self.asked: list[ChatRequest | ResumeChatRequest] = []
        self.keys: list[object] = []
        self.reached = asyncio.Event()
        self.cancelled: asyncio.Queue[CancelChatRequest] = asyncio.Queue()
        self.left: asyncio.Queue[None] = asyncio.Queue()

    async def StreamChat(self, request: ChatRequest, context: Context) -> AsyncIterator[TurnEvents]:
        async for message in self._next(request, context):
            yield message

    async def ResumeChat(
        self, request: ResumeChatRequest, context: Context
    ) -> AsyncIterator[TurnEvents]:
        async for message in self._next(request, context):
            yield message

    async def Chat(self, request: ChatRequest, context: Context) -> Turn:
        raise NotImplementedError("the client asks by StreamChat")

    async def GetTurn(self, request: GetTurnRequest, context: Context) -> Turn:
        return Turn(turn_id=request.turn_id)

    async def CancelChat(self, request: CancelChatRequest, context: Context) -> Turn:
        self.cancelled.put_nowait(request)
        return Turn(turn_id=request.turn_id)

    async def _next(
        self, request: ChatRequest | ResumeChatRequest, context: Context
    ) -> AsyncIterator[TurnEvents]:
        self.asked.append(request)
        self.reached.set()
        self.keys.append(dict(context.invocation_metadata() or ()).get("authorization"))
        try:
            async for message in next(self._replies)(context):
                yield message
        finally:
            self.left.put_nowait(None)


class ScriptedServer:
    """Serves a script; `port` stays the same when it is opened again."""

    def __init__(self, chat: ScriptedChat) -> None:
        self.chat = chat
        self.port = 0
        self._server: grpc.aio.Server | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def open(self) -> None:
        self._server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        add_ChatServiceServicer_to_server(self.chat, self._server)
        self.port = self._server.add_insecure_port(self.address)
        await self._server.start()

    async def kill(self) -> None:
        """Cut all connections, and let the port go."""
        if self._server is not None:
            await self._server.stop(None)
            self._server = None
