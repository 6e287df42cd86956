"""The asyncio client."""

from __future__ import annotations

import os
from types import TracebackType
from typing import Unpack

import grpc
from google.protobuf.wrappers_pb2 import Int32Value, StringValue

from colonnade.client import health
from colonnade.client.aio.admin import AsyncAdmin
from colonnade.client.aio.calls import AsyncCalls
from colonnade.client.aio.conversations import AsyncConversations
from colonnade.client.aio.knowledge import AsyncKnowledge
from colonnade.client.aio.models import AsyncModels
from colonnade.client.aio.stream import AsyncAnswerStream
from colonnade.client.answers import Answer
from colonnade.client.chat_requests import ChatFields, chat_request
from colonnade.client.connection import Connection
from colonnade.client.model_requests import SearchFields, search_request
from colonnade.client.retrying import RetryPolicy
from colonnade.client.stream_state import Wanted
from colonnade.client.stubs import AsyncStubs
from colonnade.client.timing import CALL_TIMEOUT, CHAT_TIMEOUT, AsyncTiming
from colonnade.v1.chat_pb2 import CancelChatRequest, GetTurnRequest
from colonnade.v1.messages_pb2 import Message
from colonnade.v1.retrieval_pb2 import SearchResponse
from colonnade.v1.turns_pb2 import Turn


class AsyncClient:
    """Asks Colonnade, without blocking the event loop. Make it, and use it, in one loop.

        async with AsyncClient() as client:
            print((await client.ask("How long is a request id kept?")).text)

    What is not given comes from COLONNADE_ADDRESS, COLONNADE_API_KEY and COLONNADE_TLS_CA. A
    `channel` that is given is used instead of a new one to `address`, and closed with the client.
    `timeout` is in seconds everywhere. Calls raise ColonnadeError.
    """

    def __init__(
        self,
        address: str | None = None,
        key: str | None = None,
        tls_ca: str | os.PathLike[str] | None = None,
        *,
        channel: grpc.aio.Channel | None = None,
        policy: RetryPolicy | None = None,
        timing: AsyncTiming | None = None,
    ) -> None:
        connection = Connection.find(address, key, tls_ca)
        self.address = connection.address
        self.metadata = connection.metadata
        self._channel = connection.open_async() if channel is None else channel
        self._calls = AsyncCalls(self.metadata, policy or RetryPolicy(), timing or AsyncTiming())
        self.stubs = AsyncStubs.of(self._channel)
        self.conversations = AsyncConversations(self._calls, self.stubs.conversations)
        self.knowledge = AsyncKnowledge(self._calls, self.stubs.knowledge)
        self.models = AsyncModels(self._calls, self.stubs.models)
        self.admin = AsyncAdmin(self._calls, self.stubs.admin)

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Let go of the connection, once what callers who left have to send is out."""
        await self._calls.finish_parting()
        await self._channel.close()

    async def ask(
        self,
        message: str | Message,
        *,
        timeout: float = CHAT_TIMEOUT,
        **fields: Unpack[ChatFields],
    ) -> Answer:
        """Ask, and wait for the whole answer. Cancelling the task cancels the turn."""
        fields.setdefault("accept_retractions", True)
        async with self.stream(message, timeout=timeout, **fields) as stream:
            return await stream.read_to_end()

    def stream(
        self,
        message: str | Message,
        *,
        timeout: float = CHAT_TIMEOUT,
        **fields: Unpack[ChatFields],
    ) -> AsyncAnswerStream:
        """Ask, and read the events of the turn as they come; for an `async with` block.

        `timeout` bounds the turn too, unless it is detached.
        """
        request = chat_request(message, fields)
        wanted = Wanted(request, accept_retractions=request.accept_retractions)
        return AsyncAnswerStream(self._calls, self.stubs.chat, wanted, timeout)

    def resume(
        self,
        turn_id: str,
        after_sequence: int = 0,
        *,
        accept_retractions: bool = False,
        timeout: float = CHAT_TIMEOUT,
    ) -> AsyncAnswerStream:
        """Read a turn that exists, after the last event that is known; for an `async with` block.

        Leaving early does not cancel the turn.
        """
        wanted = Wanted(None, turn_id, after_sequence, accept_retractions)
        return AsyncAnswerStream(self._calls, self.stubs.chat, wanted, timeout)

    async def cancel(
        self, turn_id: str = "", *, request_id: str = "", timeout: float = CALL_TIMEOUT
    ) -> Turn:
        """Stop a turn, by its id or by the request's."""
        request = CancelChatRequest(turn_id=turn_id, request_id=request_id)
        return await self._calls.unary(self.stubs.chat.CancelChat, request, timeout)

    async def turn(
        self,
        turn_id: str = "",
        *,
        request_id: str = "",
        events: bool = False,
        timeout: float = CALL_TIMEOUT,
    ) -> Turn:
        """Where a turn stands, by its id or by the request's; see `answer_of`, `turn_error`."""
        request = GetTurnRequest(turn_id=turn_id, request_id=request_id, include_events=events)
        return await self._calls.unary(self.stubs.chat.GetTurn, request, timeout)

    async def search(
        self, query: str, *, timeout: float = CALL_TIMEOUT, **fields: Unpack[SearchFields]
    ) -> SearchResponse:
        """The passages that fit a query best, each with an account of its score."""
        request = search_request(query, fields)
        return await self._calls.unary(self.stubs.retrieval.Search, request, timeout)

    async def health(self, service: str = "", *, timeout: float = CALL_TIMEOUT) -> bool:
        """True where the server, or one service by its full name, takes calls."""
        check = self._channel.unary_unary(
            health.METHOD,
            request_serializer=StringValue.SerializeToString,
            response_deserializer=Int32Value.FromString,
        )
        answer = await self._calls.unary(check, health.request_for(service), timeout)
        return health.is_serving(answer)
