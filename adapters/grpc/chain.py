"""What happens to every call, in one plain chain: context, key, scope, errors, log line."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterable, Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

import grpc
from google.protobuf.message import Message

from adapters.grpc.cutoff import Cutoffs
from adapters.grpc.delegation import delegated
from adapters.grpc.errors import status_of
from adapters.grpc.tracing import trace_of
from core.call import Call, CallFacts
from core.clock import Clock, NewId
from core.errors import (
    ColonnadeError,
    DeadlineExceeded,
    Exhausted,
    PermissionRefused,
    Unauthenticated,
    Unavailable,
)
from core.identifiers import CallId, Seconds
from core.ports.telemetry import CallLine, Telemetry
from core.principal import DELEGATE_SCOPE, Principal
from services.authentication import Authenticator
from services.turns.tail import Batch

Outgoing = Message | Batch
"""What is sent: a message, or events that were serialised for the log."""
Context = grpc.aio.ServicerContext[bytes, bytes]
_SCHEME = "bearer"
_LAST_WORDS = Seconds(0.5)
"""What a call gets beyond its deadline, in which a turn that ends by it can say so itself."""


class Messages(AsyncIterable[Outgoing], Protocol):
    """What a servicer streams, closed when it is not wanted any more."""

    async def aclose(self) -> None:
        """Let go of all that it holds. Idempotent."""


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
        self._authenticator = authenticator
        self._telemetry = telemetry
        self._clock = clock
        self._new_id = new_id
        self._limits = limits
        self.cutoffs = Cutoffs()
        self._running = 0
        self._emptied: asyncio.Event | None = None
        self.draining = False

    def adopt(self, limits: CallLimits) -> None:
        """Go by these limits from now on; what runs beyond them goes on."""
        self._limits = limits

    async def until_empty(self) -> None:
        """Return once no call is under way."""
        if self._running:
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
        passage = self._enter(method, context)
        try:
            answer = await work(await passage.admit(scope))
            passage.sent()
            return answer.SerializeToString()
        except BaseException as error:
            await passage.abort(error)
            raise
        finally:
            self._leave(passage)

    async def stream(
        self, method: str, scope: str, context: Context, work: Callable[[Call], Messages]
    ) -> None:
        """Run a call that answers with a stream; nothing is sent before its first message."""
        passage = self._enter(method, context)
        try:
            messages = work(await passage.admit(scope))
            try:
                async for message in messages:
                    passage.sent()
                    await context.write(
                        message.encoded
                        if isinstance(message, Batch)
                        else message.SerializeToString()
                    )
            finally:
                await messages.aclose()
        except BaseException as error:
            await passage.abort(error)
            raise
        finally:
            self._leave(passage)

    def _enter(self, method: str, context: Context) -> _Passage:
        passage = _Passage(self, method, context)
        self._running += 1
        return passage

    def _leave(self, passage: _Passage) -> None:
        self.cutoffs.remove(passage.cutoff)
        self._running -= 1
        if self._emptied is not None and not self._running:
            self._emptied.set()
        self._telemetry.call_ended(passage.line())

    def check_room(self) -> None:
        """Raise Unavailable while draining, Exhausted where too many calls are running."""
        if self.draining:
            raise Unavailable("this server is shutting down; send again to another one")
        if self._running > self._limits.calls:
            most = self._limits.calls
            raise Exhausted(f"this server has {most} calls, the most it may", limit="calls")

    def deadline_of(self, context: Context) -> Seconds:
        """The call's deadline on the monotonic clock: the caller's, bounded, or the default."""
        left: float | None = context.time_remaining()
        if left is None:
            left = self._limits.default_deadline
        return Seconds(self._clock.monotonic() + min(left, self._limits.longest_deadline))

    def is_late(self, deadline: Seconds) -> bool:
        """Whether this deadline has passed."""
        return self._clock.monotonic() >= deadline

    async def principal_of(self, context: Context) -> Principal:
        """The caller, by the bearer key in the metadata."""
        secret = _bearer(context)
        known = self._authenticator.recall(secret) if secret is not None else None
        return known or await self._authenticator.authenticate(secret)

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
        "_chain",
        "_context",
        "_deadline",
        "_first",
        "_id",
        "_messages",
        "_method",
        "_reason",
        "cutoff",
        "status",
    )

    def __init__(self, chain: Chain, method: str, context: Context) -> None:
        self.status = "OK"
        self._chain = chain
        self._method = method
        self._context = context
        self._began = time.perf_counter()
        self._first: float | None = None
        self._messages = 0
        self._reason = ""
        self._id = chain.new_call_id()
        self._deadline = chain.deadline_of(context)
        self.cutoff = chain.cutoffs.add(self._deadline + _LAST_WORDS)
        self._call: Call | None = None

    async def admit(self, scope: str) -> Call:
        """Who calls, and whether they may. Room is asked for first, since looking up costs some."""
        self._chain.check_room()
        if self._chain.is_late(self._deadline):
            raise DeadlineExceeded("the deadline had passed when the call came")
        principal = await self._chain.principal_of(self._context)
        self._call = Call(principal, self._id, self._deadline, trace=trace_of(self._context))
        if not scope:
            raise PermissionRefused("this method is open to nobody", scope="")
        principal.require(scope)
        if scope == DELEGATE_SCOPE:
            self._call = delegated(self._context, self._call)
            self._id = self._call.id
        return self._call

    def sent(self) -> None:
        """One more message went out."""
        self._messages += 1
        if self._first is None:
            self._first = time.perf_counter()

    async def abort(self, error: BaseException) -> None:
        """End the call with the error's status; a cancel goes on as it is."""
        self._chain.cutoffs.remove(self.cutoff)
        if self.cutoff.caused(error):
            error = TimeoutError()
        if not isinstance(error, Exception) or isinstance(error, grpc.aio.BaseError):
            late = self._chain.is_late(self._deadline)
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
        first = self._first
        return CallLine(
            method=self._method,
            call_id=self._id,
            tenant=principal.tenant if principal else None,
            user=principal.user if principal else None,
            status=self.status,
            reason=self._reason,
            latency_ms=(time.perf_counter() - self._began) * 1000,
            first_message_ms=None if first is None else (first - self._began) * 1000,
            messages=self._messages,
            facts=self._call.facts if self._call else CallFacts(),
        )


def _bearer(context: Context) -> str | None:
    """The key in the call's metadata; None where there is no `authorization` at all."""
    for key, value in context.invocation_metadata() or ():
        if key == "authorization":  # keys are in lower case on the wire
            text = value.decode("latin-1") if isinstance(value, bytes) else value
            scheme, _, secret = text.partition(" ")
            secret = secret.strip()
            if scheme.lower() != _SCHEME or not secret:
                raise Unauthenticated("the authorization must read `Bearer KEY`")
            return secret
    return None
