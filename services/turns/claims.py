"""Who runs a request: a turn that exists is attached to, else this call claims a new one."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import replace
from datetime import timedelta

from core.call import Call
from core.canonical import digest
from core.chat import ChatRequest
from core.conversations import Conversation
from core.errors import BranchBusy, DeadlineExceeded, NotFound, Reason, RequestIdReused
from core.identifiers import ConversationId, MessageId, RequestId, Seconds, TurnId
from core.ports.state import State, StoreConflict, StoreUnavailable, Transaction
from core.turns.fencing import run_again
from core.turns.outcome import may_run_again
from core.turns.rows import CHAT, IdempotencyKey, Turn, TurnState
from services.turns.admission import Admission
from services.turns.apart import apart
from services.turns.claiming import Begin, Claim, Claiming, NewTurns
from services.turns.fresh_claims import FreshClaims
from services.turns.orphans import Orphans
from services.turns.replica import Replica
from services.turns.timings import TurnTimings

ROOT = MessageId("root")
"""As a parent: the beginning of the conversation."""
_LOST_RACES = 5


class _StillInDoubt(StoreUnavailable):
    """Nobody waits for this claim any more, and it is not known whether it was made."""

    outcome_known = False

    def told(self) -> DeadlineExceeded:
        """What its caller is told in the end."""
        return DeadlineExceeded(self.message)


class Claims:
    """Claims and attaches. Duplicates in this process wait for the first one's claim."""

    def __init__(
        self,
        state: State,
        admission: Admission,
        orphans: Orphans,
        replica: Replica,
        timings: TurnTimings,
        fresh: FreshClaims,
        new_turns: NewTurns,
    ) -> None:
        self._state = state
        self._admission = admission
        self._orphans = orphans
        self._clock = replica.clock
        self._fresh = fresh
        self._new_turns = new_turns
        self._new_id = replica.new_id
        self._boot = replica.boot
        self._timings = timings
        self._queues: dict[IdempotencyKey, deque[asyncio.Future[None]]] = {}
        """Of equal calls one asks the store at a time: these wait until the one that does knows."""
        self.under_way: set[asyncio.Future[Claim]] = set()

    async def attach_or_claim(self, call: Call, request: ChatRequest, begin: Begin) -> Claim:
        """The turn that this request stands for.

        Raises RequestIdReused, BranchBusy, NotFound, Exhausted; then nothing is written. A call
        that is cancelled meanwhile leaves no turn without a runner: its claim goes on alone.
        """
        request_id = request.request_id or RequestId(self._new_id("req"))
        principal = call.principal
        key = IdempotencyKey(principal.tenant, principal.user, CHAT, request_id)
        claiming = Claiming(
            call,
            request,
            key,
            digest(request.content()),
            self._new_id("claim"),
            self._admission.place(key.tenant),
            self._clock.monotonic(),
        )
        await self._enter(key)
        going = self._set_out(claiming, begin)
        self.under_way.add(going)
        going.add_done_callback(lambda done: self._leave(key, done))
        return await apart(going)

    def _set_out(self, claiming: Claiming, begin: Begin) -> asyncio.Future[Claim]:
        """Go along with the next commit, if that takes anybody; else, or then, look."""
        loop = asyncio.get_running_loop()
        going: asyncio.Future[Claim] = loop.create_future()

        def told(turn: Turn | None, failed: Exception | None) -> None:
            if turn is not None:
                _begin(claiming, turn, begin, going)
            else:
                finishing = loop.create_task(self._finish(claiming, begin, failed))
                finishing.add_done_callback(lambda done: _hand_on(done, going))

        if self._fresh.board(claiming, told):
            return going
        return loop.create_task(self._finish(claiming, begin, None))

    async def _finish(self, claiming: Claiming, begin: Begin, failed: Exception | None) -> Claim:
        """Try until it is known what came of it; then begin what was claimed.

        `failed` is what came of a first try.
        """
        mine = False
        try:
            claim = await self._until_known(claiming, failed)
            mine = claim.mine
            if mine:
                begin(claim)
            return claim
        finally:
            if not mine:
                claiming.place.give_back()

    async def _until_known(self, claiming: Claiming, failed: Exception | None) -> Claim:
        while True:
            tried = self._clock.monotonic() if failed is None else claiming.began
            try:
                if failed is not None:
                    error, failed = failed, None
                    raise error
                claim = await self._try(claiming)
                for before, after in claiming.taken_over:
                    self._orphans.announce(before, after)
                return claim
            except StoreConflict as conflict:  # somebody was first: look at what was written
                claiming.lost_races += 1
                if claiming.lost_races == _LOST_RACES:
                    raise BranchBusy("this changes faster than a turn can be claimed") from conflict
            except StoreUnavailable as away:
                claiming.in_doubt |= not away.outcome_known
                if not self._is_patient(claiming, away, tried):
                    if isinstance(away, _StillInDoubt):
                        raise away.told() from None
                    raise
                await asyncio.sleep(self._timings.retry_store)

    def _is_patient(self, claiming: Claiming, away: StoreUnavailable, tried: Seconds) -> bool:
        """Whether to try again: what is in doubt, until it is known; else for a while.

        A turn that may be ours must not be left without a runner, whoever still waits for it;
        after a lease it is a sweeper's. What counts is when the try began that has failed: this
        process may have stood still over it, and another hears at once. A full disk is not waited
        for: somebody must make room.
        """
        now = self._clock.monotonic()
        if claiming.in_doubt:
            return tried < max(claiming.call.deadline, claiming.began + self._timings.lease)
        until = min(claiming.call.deadline, claiming.began + self._timings.hold)
        return now < until and away.reason is not Reason.STORAGE_FULL

    async def _try(self, claiming: Claiming) -> Claim:
        key = claiming.key
        claiming.taken_over.clear()
        self._new_turns.send(claiming)
        async with self._state.transaction(key.tenant) as tx:
            known = await tx.idempotency.find(key)
            if known is None:
                return await self._claim(tx, claiming)
            if known.digest != claiming.digest:
                raise RequestIdReused(
                    "this request_id was sent with other content; use a new one for a new request",
                    request_id=key.request_id,
                    turn_id=known.turn,
                )
            return await self._attach(tx, claiming, known.turn)

    async def _attach(self, tx: Transaction, claiming: Claiming, id: TurnId) -> Claim:
        turn = await _locked(tx, id)
        mine = turn.claim_nonce == claiming.nonce and turn.state is TurnState.RUNNING
        if mine:  # the reply to our own claim was lost
            claiming.place.take()
            return claiming.mine(turn)
        turn = await self._take_over_if_due(tx, claiming, turn)
        if may_run_again(turn):
            return await self._run_again(tx, claiming, turn)
        if claiming.request.detach and not turn.detach and not turn.state.ended:
            turn = replace(turn, detach=True)
            tx.turns.update(turn)
        return Claim(turn, mine=False)

    def _require_time(self, claiming: Claiming) -> None:
        """Begin nothing for a caller who has gone while an earlier try was in doubt.

        What that try wrote may yet be committed, though it is not there now.
        """
        if claiming.in_doubt and self._clock.monotonic() >= claiming.call.deadline:
            raise _StillInDoubt("the store did not say in time whether this turn began")

    async def _run_again(self, tx: Transaction, claiming: Claiming, turn: Turn) -> Claim:
        self._require_time(claiming)
        claiming.place.take()
        if turn.conversation is not None:
            await self._require_free(tx, claiming, turn.conversation, turn.parent)
        claiming.previous = turn.error
        again = run_again(
            turn,
            owner=self._boot,
            nonce=claiming.nonce,
            lease_until=tx.now + timedelta(seconds=self._timings.lease),
            deadline_at=tx.now + timedelta(seconds=claiming.time),
        )
        tx.turns.update(again)
        return claiming.mine(again)

    async def _take_over_if_due(self, tx: Transaction, claiming: Claiming, locked: Turn) -> Turn:
        after = await self._orphans.take_over_if_due(tx, locked)
        if after is not locked:
            claiming.taken_over.append((locked, after))
        return after

    async def _claim(self, tx: Transaction, claiming: Claiming) -> Claim:
        self._require_time(claiming)
        claiming.place.take()
        conversation, parent = await self._branch(tx, claiming)
        home = conversation.id if conversation else None
        turn = self._new_turns.write(tx, claiming, home, parent)
        return claiming.mine(turn)

    async def _branch(
        self, tx: Transaction, claiming: Claiming
    ) -> tuple[Conversation | None, MessageId | None]:
        """The conversation and the message in it that this turn follows."""
        request, user = claiming.request, claiming.key.user
        if request.conversation is None:
            return None, None
        conversation = await tx.conversations.get(request.conversation)
        if conversation is None or conversation.owner != user:
            raise NotFound("conversation", request.conversation)
        parent = request.parent_message or conversation.head
        if parent == ROOT:
            parent = None
        if parent is not None and await tx.conversations.message(conversation.id, parent) is None:
            raise NotFound("message", parent)
        await self._require_free(tx, claiming, conversation.id, parent)
        return conversation, parent

    async def _require_free(
        self,
        tx: Transaction,
        claiming: Claiming,
        conversation: ConversationId,
        parent: MessageId | None,
    ) -> None:
        """Raise BranchBusy while a turn runs on the branch; one that nobody runs is settled."""
        busy = await tx.turns.busy(conversation, parent)
        if busy is None:
            return
        if busy.claim_nonce == claiming.nonce:
            raise StoreConflict("our own claim, in doubt till now, was made after all")
        locked = await _locked(tx, busy.id)
        if not (await self._take_over_if_due(tx, claiming, locked)).state.ended:
            raise BranchBusy(
                "this message already has a turn that runs; wait for its end, cancel it, "
                "or send with another parent_message",
                turn_id=busy.id,
            )

    async def _enter(self, key: IdempotencyKey) -> None:
        """Wait until no equal call of this process is at work."""
        queue = self._queues.get(key)
        if queue is None:
            self._queues[key] = deque()
            return
        called: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue.append(called)
        try:
            await called
        except BaseException:
            if not called.cancelled():
                self._call_next(key)
            raise

    def _leave(self, key: IdempotencyKey, task: asyncio.Future[Claim]) -> None:
        """The claim is known, whether or not its call still waits for it: the next may try."""
        self.under_way.discard(task)
        self._call_next(key)

    def _call_next(self, key: IdempotencyKey) -> None:
        queue = self._queues[key]
        while queue:
            called = queue.popleft()
            if not called.done():  # else who waited has left
                called.set_result(None)
                return
        del self._queues[key]


def _begin(claiming: Claiming, turn: Turn, begin: Begin, going: asyncio.Future[Claim]) -> None:
    claim = claiming.mine(turn)
    try:
        begin(claim)
    except Exception as error:  # noqa: BLE001  # passed on to who waits
        claiming.place.give_back()
        going.set_exception(error)
    else:
        going.set_result(claim)


def _hand_on(done: asyncio.Future[Claim], going: asyncio.Future[Claim]) -> None:
    if done.cancelled():
        going.cancel()
    elif (error := done.exception()) is not None:
        going.set_exception(error)
    else:
        going.set_result(done.result())


async def _locked(tx: Transaction, id: TurnId) -> Turn:
    """The turn's row. StoreConflict where its conversation has just been deleted with it."""
    turn = (await tx.turns.lock([id])).get(id)
    if turn is None:
        raise StoreConflict("the turn is gone")
    return turn
