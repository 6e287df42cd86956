"""Who runs a request: a turn that exists is attached to, else this call claims a new one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta

from core.call import Call
from core.canonical import digest
from core.chat import ChatRequest
from core.clock import Clock, NewId
from core.conversations import Conversation
from core.errors import BranchBusy, NotFound, RequestIdReused
from core.identifiers import BootId, MessageId, RequestId, Seconds, TenantId, TurnId
from core.messages import StoredMessage
from core.ports.state import State, StoreConflict, StoreUnavailable, Transaction
from core.turns.fencing import run_again
from core.turns.outcome import may_run_again
from core.turns.rows import (
    CHAT,
    EndReason,
    IdempotencyKey,
    IdempotencyRecord,
    Turn,
    TurnFailure,
    TurnState,
)
from services.turns.admission import Admission
from services.turns.timings import TurnTimings

ROOT = MessageId("root")
"""As a parent: the beginning of the conversation."""
_TRIES = 5
_NO_TIME = Seconds(0.0)


@dataclass(frozen=True, slots=True)
class Claim:
    """The turn of this request. `mine`: this call claimed it and has to start its runner.

    `time` is how long the run may take from now.
    """

    turn: Turn
    mine: bool
    time: Seconds = _NO_TIME
    previous: TurnFailure | None = None


class _Slot:
    """A place among the running turns, given back when the claim does not come about."""

    def __init__(self, admission: Admission, tenant: TenantId) -> None:
        self._admission = admission
        self._tenant = tenant
        self._taken = False

    def take(self) -> None:
        self._admission.take(self._tenant)
        self._taken = True

    def give_back(self) -> None:
        if self._taken:
            self._admission.give_back(self._tenant)


class Claims:
    """Claims and attaches. Duplicates in this process wait for the first one's claim."""

    def __init__(
        self,
        state: State,
        admission: Admission,
        clock: Clock,
        new_id: NewId,
        boot: BootId,
        timings: TurnTimings,
    ) -> None:
        self._state = state
        self._admission = admission
        self._clock = clock
        self._new_id = new_id
        self._boot = boot
        self._timings = timings
        self._in_flight: dict[IdempotencyKey, tuple[asyncio.Lock, int]] = {}

    async def attach_or_claim(self, call: Call, request: ChatRequest) -> Claim:
        """The turn that this request stands for.

        Raises RequestIdReused, BranchBusy, NotFound, Exhausted; then nothing is written.
        """
        request_id = request.request_id or RequestId(self._new_id("req"))
        principal = call.principal
        key = IdempotencyKey(principal.tenant, principal.user, CHAT, request_id)
        nonce = self._new_id("claim")
        async with self._alone(key):
            for _ in range(_TRIES):
                try:
                    return await self._try(call, request, key, nonce)
                except StoreConflict:
                    continue  # another process was first: look at what it wrote
                except StoreUnavailable as away:
                    if away.outcome_known or self._clock.monotonic() >= call.deadline:
                        raise
        raise BranchBusy("this conversation changes faster than the turn can be claimed")

    async def _try(
        self, call: Call, request: ChatRequest, key: IdempotencyKey, nonce: str
    ) -> Claim:
        slot = _Slot(self._admission, key.tenant)
        try:
            async with self._state.transaction(key.tenant) as tx:
                known = await tx.idempotency.find(key)
                if known is None:
                    turn = await self._claim(tx, call, request, key, nonce, slot)
                    return Claim(turn, True, self._time_for(call, request))
                if known.digest != digest(request.content()):
                    raise RequestIdReused(
                        "this request_id was sent with other content; "
                        "use a new one for a new request",
                        request_id=key.request_id,
                    )
                return await self._attach(tx, call, request, known.turn, nonce, slot)
        except BaseException:
            slot.give_back()
            raise

    async def _attach(
        self, tx: Transaction, call: Call, request: ChatRequest, id: TurnId, nonce: str, slot: _Slot
    ) -> Claim:
        turn = (await tx.turns.lock([id]))[id]
        if turn.claim_nonce == nonce:
            slot.take()
            return Claim(
                turn, True, self._time_for(call, request)
            )  # the reply to our own claim was lost
        if may_run_again(turn):
            slot.take()
            return await self._run_again(tx, call, request, turn, nonce)
        if request.detach and not turn.detach and not turn.state.ended:
            turn = replace(turn, detach=True)
            tx.turns.update(turn)
        return Claim(turn, mine=False)

    async def _run_again(
        self, tx: Transaction, call: Call, request: ChatRequest, turn: Turn, nonce: str
    ) -> Claim:
        if turn.conversation is not None and await tx.turns.busy(turn.conversation, turn.parent):
            raise _busy()
        again = run_again(
            turn,
            owner=self._boot,
            nonce=nonce,
            lease_until=tx.now + timedelta(seconds=self._timings.lease),
            deadline_at=tx.now + timedelta(seconds=self._time_for(call, request)),
        )
        tx.turns.update(again)
        return Claim(again, True, self._time_for(call, request), previous=turn.error)

    async def _claim(
        self,
        tx: Transaction,
        call: Call,
        request: ChatRequest,
        key: IdempotencyKey,
        nonce: str,
        slot: _Slot,
    ) -> Turn:
        slot.take()
        conversation, parent = await self._place(tx, call, request)
        id = TurnId(self._new_id("turn"))
        message = MessageId(self._new_id("msg")) if conversation else None
        turn = Turn(
            id=id,
            tenant=key.tenant,
            user=key.user,
            state=TurnState.RUNNING,
            run=1,
            epoch=1,
            owner=self._boot,
            claim_nonce=nonce,
            lease_until=tx.now + timedelta(seconds=self._timings.lease),
            deadline_at=tx.now + timedelta(seconds=self._time_for(call, request)),
            created_at=tx.now,
            request_id=key.request_id,
            conversation=conversation.id if conversation else None,
            parent=parent,
            user_message=message,
            feature=request.feature,
            detach=request.detach,
            linger=self._timings.linger if request.linger is None else request.linger,
            retractions=request.accept_retractions,
        )
        tx.idempotency.insert(IdempotencyRecord(key, id, digest(request.content())))
        tx.turns.insert(turn)
        if conversation is not None and message is not None:
            tx.conversations.add_message(
                StoredMessage(message, conversation.id, parent, request.message, tx.now, turn=id)
            )
        return turn

    async def _place(
        self, tx: Transaction, call: Call, request: ChatRequest
    ) -> tuple[Conversation | None, MessageId | None]:
        """The conversation and the message in it that this turn follows."""
        if request.conversation is None:
            return None, None
        conversation = await tx.conversations.get(request.conversation)
        if conversation is None or conversation.owner != call.principal.user:
            raise NotFound("conversation", request.conversation)
        parent = request.parent_message or conversation.head
        if parent == ROOT:
            parent = None
        if parent is not None and await tx.conversations.message(conversation.id, parent) is None:
            raise NotFound("message", parent)
        if await tx.turns.busy(conversation.id, parent) is not None:
            raise _busy()
        return conversation, parent

    def _time_for(self, call: Call, request: ChatRequest) -> Seconds:
        """How long the turn may take: the caller's deadline, unless it outlives its caller."""
        longest = request.turn_timeout or self._timings.turn_maximum
        if request.detach:
            return min(longest, self._timings.turn_maximum)
        left = Seconds(max(0.0, call.deadline - self._clock.monotonic()))
        return min(longest, left, self._timings.turn_maximum)

    @asynccontextmanager
    async def _alone(self, key: IdempotencyKey) -> AsyncIterator[None]:
        lock, waiting = self._in_flight.get(key, (asyncio.Lock(), 0))
        self._in_flight[key] = (lock, waiting + 1)
        try:
            async with lock:
                yield
        finally:
            lock, waiting = self._in_flight.pop(key)
            if waiting > 1:
                self._in_flight[key] = (lock, waiting - 1)


def abandoned(turn: Turn) -> bool:
    """Whether the run is about to end because nobody reads it: claim again after its end."""
    return turn.state is TurnState.RUNNING and turn.cancel is EndReason.ABANDONED


def _busy() -> BranchBusy:
    return BranchBusy(
        "this message already has a turn that runs; wait for its end, cancel it, "
        "or send with another parent_message"
    )
