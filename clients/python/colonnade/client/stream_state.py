"""A stream's state between its calls: what both drivers share, without any I/O."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import grpc

from colonnade.client.answers import Answer
from colonnade.client.errors import Failure, error_of
from colonnade.client.folding import AnswerFold
from colonnade.client.reading import Progress, after_break, receive
from colonnade.client.retrying import RetryPolicy
from colonnade.v1.chat_pb2 import CancelChatRequest, ChatRequest, ResumeChatRequest
from colonnade.v1.turns_pb2 import TurnEvent, TurnEvents


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which turn a stream reads. `request` None: one that exists, after `after_sequence`."""

    request: ChatRequest | None = None
    turn_id: str = ""
    after_sequence: int = 0
    accept_retractions: bool = False

    def progress(self) -> Progress:
        """Where the reading begins."""
        if self.request is not None:
            return Progress()
        return Progress.joining(self.turn_id, self.after_sequence)


class StreamState:
    """The answer so far, and what its reader should do next.

    A driver calls `begin`, then `next_request` and makes that call, `arrived` for each of its
    messages, `broke` when it ends, and waits as that says. Times are in seconds.
    """

    def __init__(self, wanted: Wanted, policy: RetryPolicy, timeout: float) -> None:
        self.wanted = wanted
        self._policy = policy
        self._timeout = timeout
        self._deadline: float | None = None
        self._progress = wanted.progress()
        self.fold = AnswerFold(last_sequence=wanted.after_sequence)
        self._ready: deque[TurnEvent] = deque()
        self._asked = False
        self._failed = False

    @property
    def turn_id(self) -> str:
        """The turn; empty before its first event."""
        return self._progress.turn_id

    @property
    def complete(self) -> bool:
        """True once `finished` has come."""
        return self._progress.finished

    def begin(self, now: float) -> None:
        """The deadline runs from here."""
        self._deadline = now + self._timeout

    def left(self, now: float) -> float:
        """Seconds until the deadline."""
        if self._deadline is None:
            raise RuntimeError("open the stream with `with` (or `async with`) before you read it")
        return self._deadline - now

    def next_request(self, now: float) -> ChatRequest | ResumeChatRequest:
        """The call to make. Raises DeadlineExceeded when there is no time for one."""
        if self.left(now) <= 0:
            self._failed = True
            raise error_of(
                Failure(
                    grpc.StatusCode.DEADLINE_EXCEEDED,
                    f"the turn was not read to its end within {self._timeout:g} s",
                    metadata={"turn_id": self.turn_id} if self.turn_id else {},
                )
            )
        self._asked = True
        if self._progress.asking and self.wanted.request is not None:
            return self.wanted.request
        return ResumeChatRequest(
            turn_id=self.turn_id,
            after_sequence=self._progress.last,
            accept_retractions=self.wanted.accept_retractions,
        )

    def arrived(self, message: TurnEvents) -> bool:
        """Take a message; False where the call leaves events out and should be given up."""
        received = receive(self._progress, message.events)
        self._progress = received.progress
        self._ready.extend(received.fresh)
        return not received.gap

    def broke(self, failure: Failure | None, now: float, draw: float) -> float:
        """How long to wait before the next call. Raises ColonnadeError when it is over."""
        self._failed = True
        again = after_break(self._progress, failure, self._policy, draw, self.left(now))
        self._failed = False
        self._progress = again.progress
        return again.wait

    def hand_out(self) -> TurnEvent | None:
        """The next event for the caller, if one is there."""
        if not self._ready:
            return None
        event = self._ready.popleft()
        self.fold.add(event)
        return event

    def parting(self) -> CancelChatRequest | None:
        """What to send when the caller leaves now; None where nothing needs to be stopped.

        A detached turn is meant to outlive its caller, and a joined one is somebody else's.
        """
        request = self.wanted.request
        if not self._asked or self._failed or self.complete or request is None or request.detach:
            return None
        if self.turn_id:
            return CancelChatRequest(turn_id=self.turn_id)
        return CancelChatRequest(request_id=request.request_id)


class StreamView:
    """What the readers of both kinds of streams can see at any time."""

    def __init__(self, state: StreamState) -> None:
        self._state = state

    @property
    def turn_id(self) -> str:
        """The turn; empty before its first event."""
        return self._state.turn_id

    @property
    def request_id(self) -> str:
        """The idempotency key; empty for a turn that was joined by its id."""
        request = self._state.wanted.request
        return request.request_id if request else ""

    @property
    def last_sequence(self) -> int:
        """The sequence number of the last event that was handed out."""
        return self._state.fold.last_sequence

    @property
    def text(self) -> str:
        """The text so far."""
        return self._state.fold.text

    @property
    def answer(self) -> Answer:
        """The answer so far; after the last event, the whole of it.

        Of a turn that was joined in its middle: what came since.
        """
        return self._state.fold.answer()
