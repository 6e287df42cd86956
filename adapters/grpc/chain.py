"""What happens to every call, in one plain chain: context, key, scope, errors, log line."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

import grpc
from google.protobuf.message import Message

from adapters.grpc.cutoff import Cutoffs
from adapters.grpc.delegation import delegated
from adapters.grpc.errors import status_of
from adapters.grpc.metadata import heard
from core.call import Call, CallFacts
from core.clock import Clock, NewId
from core.errors import (
    ColonnadeError,
    DeadlineExceeded,
    Exhausted,
    PermissionRefused,
    Unavailable,
)
from core.identifiers import CallId, Seconds
from core.ports.telemetry import CallLine, Telemetry
from core.principal import DELEGATE_SCOPE, Principal
from services.authentication import Authenticator

Context = grpc.aio.ServicerContext[bytes, bytes]
_LAST_WORDS = Seconds(0.5)
"""What a call gets beyond its deadline, in which a turn that ends by it can say so itself."""


class Outgoing(Protocol):
    """What a call streams: taken as long as there is any, waited for, and closed.

    `over` says that all was taken.
    """

    over: bool

    def take(self) -> bytes | None:
        """The next message; None where there is none yet."""

    def more(self) -> Awaitable[None]:
        """Done when it is worth to `take` again; to be asked for right after that."""

    async def aclose(self) -> None:
        """Let go of all that it holds. Idempotent."""


Parse = Callable[[bytes], Message]
StreamHandler = Callable[[bytes, Context], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class CallLimits:
    """Bounds of this process's calls. Times are in seconds."""

    calls: int = 2048
    default_deadline: Seconds = Seconds(120.0)
    longest_deadline: Seconds = Seconds(3600.0)


class Chain:
    """Opens and closes calls around the servicers' plain functions."""

    def __init__(
        self,
        authenticator: Authenticator,
        telemetry: Telemetry,
        clock: Clock,
        new_id: NewId,
        limits: CallLimits,
    ) -> None:
        self.authenticator = authenticator
        self.clock = clock
        self.limits = limits
        self._telemetry = telemetry
        self._new_id = new_id
        self.cutoffs = Cutoffs()
        self.running = 0
        self._emptied: asyncio.Event | None = None
        self.draining = False

    def adopt(self, limits: CallLimits) -> None:
        """Go by these limits from now on; what runs beyond them goes on."""
        self.limits = limits

    async def until_empty(self) -> None:
        """Return once no call is under way."""
        if self.running:
            self._emptied = asyncio.Event()
            await self._emptied.wait()

    async def unary(
        self,
        method: str,
        scope: str,
        context: Context,
        work: Callable[[Call], Awaitable[Message]],
    ) -> bytes:
        """Run a call that has one answer."""
        passage = _Passage(self, method, context)
        try:
            answer = await work(await passage.admit(scope))
            passage.messages, passage.first = 1, time.perf_counter()
            return answer.SerializeToString()
        except BaseException as error:
            await passage.abort(error)
            raise
        finally:
            self._leave(passage)

    def streamed(
        self, method: str, scope: str, parse: Parse, work: Callable[[Message, Call], Outgoing]
    ) -> StreamHandler:
        """What gRPC calls for an answer that is a stream: nothing is sent before its first message.

        One function for the whole way, since every message passes through each that there is.
        """

        async def handle(data: bytes, context: Context) -> None:
            passage = _Passage(self, method, context)
            try:
                call = await passage.admit(scope)
                stream = work(parse(data), call)
                try:
                    while True:
                        if (message := stream.take()) is not None:
                            if passage.first is None:
                                passage.first = time.perf_counter()
                            passage.messages += 1
                            await context.write(message)
                        elif stream.over:
                            break
                        else:
                            await stream.more()
                finally:
                    await stream.aclose()
            except BaseException as error:
                await passage.abort(error)
                raise
            finally:
                self._leave(passage)

        return handle

    def _leave(self, passage: _Passage) -> None:
        self.cutoffs.remove(passage.cutoff)
        self.running -= 1
        if self._emptied is not None and not self.running:
            self._emptied.set()
        self._telemetry.call_ended(passage.line())

    def check_room(self) -> None:
        """Raise Unavailable while draining, Exhausted where too many calls are running."""
        if self.draining:
            raise Unavailable("this server is shutting down; send again to another one")
        if self.running > self.limits.calls:
            most = self.limits.calls
            raise Exhausted(f"this server has {most} calls, the most it may", limit="calls")

    async def principal_of(self, context: Context) -> Principal:
        """The caller, by the bearer key in the metadata."""
        secret, _ = heard(context)
        return await self.authenticator.authenticate(secret)

    def new_call_id(self) -> CallId:
        """An id for one call."""
        return CallId(self._new_id("call"))

    def report(self, call_id: CallId, error: BaseException) -> None:
        """Write a bug's stack down, where operators find it by the call's id."""
        self._telemetry.failed(call_id, error)


class _Passage:
    """One call's way through the chain."""

    __slots__ = (
        "_began",
        "_call",
        "_came_late",
        "_chain",
        "_context",
        "_deadline",
        "_id",
        "_method",
        "_reason",
        "cutoff",
        "first",
        "messages",
        "status",
    )

    def __init__(self, chain: Chain, method: str, context: Context) -> None:
        """The call has come: from here on it counts, until the chain lets it leave."""
        chain.running += 1
        limits = chain.limits
        left: float | None = context.time_remaining()
        if left is None:
            left = limits.default_deadline
        elif left > limits.longest_deadline:
            left = limits.longest_deadline
        self.status = "OK"
        self.messages = 0
        self.first: float | None = None
        self._chain = chain
        self._method = method
        self._context = context
        self._began = time.perf_counter()
        self._reason = ""
        self._id = chain.new_call_id()
        self._came_late = left <= 0
        self._deadline = Seconds(chain.clock.monotonic() + left)
        self.cutoff = chain.cutoffs.add(self._deadline + _LAST_WORDS)
        self._call: Call | None = None

    async def admit(self, scope: str) -> Call:
        """Who calls, and whether they may. Room is asked for first, since looking up costs some."""
        self._chain.check_room()
        if self._came_late:
            raise DeadlineExceeded("the deadline had passed when the call came")
        secret, trace = heard(self._context)
        authenticator = self._chain.authenticator
        principal = authenticator.recall(secret) or await authenticator.authenticate(secret)
        call = self._call = Call(principal, self._id, self._deadline, trace=trace)
        if not scope:
            raise PermissionRefused("this method is open to nobody", scope="")
        principal.require(scope)
        if scope == DELEGATE_SCOPE:
            call = self._call = delegated(self._context, call)
            self._id = call.id
        return call

    async def abort(self, error: BaseException) -> None:
        """End the call with the error's status; a cancel goes on as it is."""
        self._chain.cutoffs.remove(self.cutoff)
        if self.cutoff.caused(error):
            error = TimeoutError()
        if not isinstance(error, Exception) or isinstance(error, grpc.aio.BaseError):
            late = self._chain.clock.monotonic() >= self._deadline
            code = grpc.StatusCode.DEADLINE_EXCEEDED if late else grpc.StatusCode.CANCELLED
            self.status = code.name
            if isinstance(error, grpc.aio.BaseError):  # what we wrote found nobody there
                raise asyncio.CancelledError from error
            return
        if isinstance(error, TimeoutError):
            error = self._late()
        if not isinstance(error, ColonnadeError):
            self._chain.report(self._id, error)
        status = status_of(error, self._id)
        self.status, self._reason = status.code.name, status.reason
        try:
            await self._context.abort(status.code, status.message, status.details)
        except grpc.aio.AbortError:
            raise
        except grpc.aio.BaseError as gone:  # nobody is there to be told
            raise asyncio.CancelledError from gone

    def _late(self) -> DeadlineExceeded:
        """What is said where the call's own time ran out; a turn that it read goes on."""
        late = DeadlineExceeded("not done by the deadline")
        turn = self._call.facts.turn_id if self._call else ""
        if turn:
            late.metadata = {"turn_id": turn, "rerunnable": "false"}
        return late

    def line(self) -> CallLine:
        """What the log says of this call."""
        principal = self._call.principal if self._call else None
        first = self.first
        return CallLine(
            method=self._method,
            call_id=self._id,
            tenant=principal.tenant if principal else None,
            user=principal.user if principal else None,
            status=self.status,
            reason=self._reason,
            latency_ms=(time.perf_counter() - self._began) * 1000,
            first_message_ms=None if first is None else (first - self._began) * 1000,
            messages=self.messages,
            facts=self._call.facts if self._call else CallFacts(),
        )
