"""A turn's events, read by a blocking caller."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from types import TracebackType
from typing import Protocol

import grpc

from colonnade.client.answers import Answer
from colonnade.client.blocking.calls import Calls
from colonnade.client.errors import Failure
from colonnade.client.reading import GAP
from colonnade.client.statuses import failure_of
from colonnade.client.stream_state import StreamState, StreamView, Wanted
from colonnade.client.timing import LEAVE_TIMEOUT
from colonnade.v1.chat_pb2 import ChatRequest
from colonnade.v1.chat_pb2_grpc import ChatServiceStub
from colonnade.v1.turns_pb2 import TurnEvent, TurnEvents


class _Call(Protocol):
    def __next__(self) -> TurnEvents: ...
    def cancel(self) -> object: ...


class AnswerStream(StreamView):
    """The events of one turn, each once and in order, whatever becomes of the connection.

    Use it in a `with` block: leaving that before the end cancels the turn, unless it was detached
    or joined by `resume`. A `started` event begins the answer anew, and what was shown before it
    is void. Raises ColonnadeError for the turn's own error, and where reading on can't help.
    """

    def __init__(self, calls: Calls, chat: ChatServiceStub, wanted: Wanted, timeout: float) -> None:
        super().__init__(StreamState(wanted, calls.policy, timeout))
        self._calls = calls
        self._chat = chat
        self._call: _Call | None = None

    def __enter__(self) -> AnswerStream:
        self._state.begin(self._calls.timing.clock())
        return self

    def __iter__(self) -> Iterator[TurnEvent]:
        return self

    def __next__(self) -> TurnEvent:
        while True:
            event = self._state.hand_out()
            if event is not None:
                return event
            if self._call is None:
                if self._state.complete:
                    raise StopIteration
                self._call = self._open()
            self._read(self._call)

    def read_to_end(self) -> Answer:
        """Read what is left, and return the answer. Raises ColonnadeError."""
        for _ in self:
            pass
        return self.answer

    def __exit__(
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
            # Whoever leaves wants to leave: a cancel that fails is the server's `linger` to mend.
            with suppress(grpc.RpcError):
                self._chat.CancelChat(parting, timeout=LEAVE_TIMEOUT, metadata=self._calls.metadata)

    def _open(self) -> _Call:
        now = self._calls.timing.clock()
        request, left = self._state.next_request(now), self._state.left(now)
        if isinstance(request, ChatRequest):
            return self._chat.StreamChat(request, timeout=left, metadata=self._calls.metadata)
        return self._chat.ResumeChat(request, timeout=left, metadata=self._calls.metadata)

    def _read(self, call: _Call) -> None:
        """Take one message, or the end of the call."""
        try:
            message = next(call)
        except StopIteration:
            self._ended(None)
        except grpc.RpcError as error:
            self._ended(failure_of(error))
        else:
            if not self._state.arrived(message):
                call.cancel()
                self._ended(GAP)

    def _ended(self, failure: Failure | None) -> None:
        self._call = None
        if not self._state.complete:
            timing = self._calls.timing
            timing.sleep(self._state.broke(failure, timing.clock(), timing.draw()))
