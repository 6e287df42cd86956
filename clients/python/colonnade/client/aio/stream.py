"""A turn's events, read by an asyncio task."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING

import grpc

from colonnade.client.aio.calls import AsyncCalls
from colonnade.client.answers import Answer
from colonnade.client.errors import Failure
from colonnade.client.reading import GAP
from colonnade.client.statuses import failure_of
from colonnade.client.stream_state import StreamState, StreamView, Wanted
from colonnade.client.timing import LEAVE_TIMEOUT
from colonnade.v1.chat_pb2 import CancelChatRequest, ChatRequest, ResumeChatRequest
from colonnade.v1.turns_pb2 import TurnEvent, TurnEvents

if TYPE_CHECKING:
    from colonnade.v1.chat_pb2_grpc import ChatServiceAsyncStub

_Call = (
    grpc.aio.UnaryStreamCall[ChatRequest, TurnEvents]
    | grpc.aio.UnaryStreamCall[ResumeChatRequest, TurnEvents]
)


class AsyncAnswerStream(StreamView):
    """The events of one turn, each once and in order, whatever becomes of the connection.

    Use it in an `async with` block: leaving that before the end, as by the cancellation of the
    task, cancels the turn, unless it was detached or joined by `resume`. A `started` event begins
    the answer anew, and what was shown before it is void. Raises ColonnadeError for the turn's
    own error, and where reading on can't help.
    """

    def __init__(
        self, calls: AsyncCalls, chat: ChatServiceAsyncStub, wanted: Wanted, timeout: float
    ) -> None:
        super().__init__(StreamState(wanted, calls.policy, timeout))
        self._calls = calls
        self._chat = chat
        self._call: _Call | None = None

    async def __aenter__(self) -> AsyncAnswerStream:
        self._state.begin(self._calls.timing.clock())
        return self

    def __aiter__(self) -> AsyncIterator[TurnEvent]:
        return self

    async def __anext__(self) -> TurnEvent:
        while True:
            event = self._state.hand_out()
            if event is not None:
                return event
            if self._call is None:
                if self._state.complete:
                    raise StopAsyncIteration
                self._call = self._open()
            await self._read(self._call)

    async def read_to_end(self) -> Answer:
        """Read what is left, and return the answer. Raises ColonnadeError."""
        async for _ in self:
            pass
        return self.answer

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        call, self._call = self._call, None
        if call is not None:
            call.cancel()
        parting = self._state.parting()
        if parting is not None:
            # A task of its own: a second cancellation of the caller must not undo it.
            sending = asyncio.create_task(self._cancel_turn(parting))
            self._calls.parting.add(sending)
            sending.add_done_callback(self._calls.parting.discard)
            await asyncio.wait({sending})

    async def _cancel_turn(self, parting: CancelChatRequest) -> None:
        # Whoever leaves wants to leave: a cancel that fails is the server's `linger` to mend.
        with suppress(grpc.RpcError):
            await self._chat.CancelChat(
                parting, timeout=LEAVE_TIMEOUT, metadata=self._calls.metadata
            )

    def _open(self) -> _Call:
        now = self._calls.timing.clock()
        request, left = self._state.next_request(now), self._state.left(now)
        if isinstance(request, ChatRequest):
            return self._chat.StreamChat(request, timeout=left, metadata=self._calls.metadata)
        return self._chat.ResumeChat(request, timeout=left, metadata=self._calls.metadata)

    async def _read(self, call: _Call) -> None:
        """Take one message, or the end of the call."""
        try:
            message = await call.read()
        except grpc.RpcError as error:
            await self._ended(failure_of(error))
            return
        if not isinstance(message, TurnEvents):
            await self._ended(None)
        elif not self._state.arrived(message):
            call.cancel()
            await self._ended(GAP)

    async def _ended(self, failure: Failure | None) -> None:
        self._call = None
        if not self._state.complete:
            timing = self._calls.timing
            await timing.sleep(self._state.broke(failure, timing.clock(), timing.draw()))
