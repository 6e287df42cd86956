"""One call's claim: what it asks for, how long it may take, and the turn that is written for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from core.call import Call
from core.chat import ChatRequest
from core.identifiers import ConversationId, MessageId, Seconds, TurnId
from core.messages import StoredMessage
from core.ports.state import Transaction
from core.turns.leases import local_lease_end
from core.turns.rows import IdempotencyKey, IdempotencyRecord, Turn, TurnFailure, TurnState
from services.turns.admission import Place
from services.turns.replica import Replica
from services.turns.timings import TurnTimings


@dataclass(frozen=True, slots=True)
class Claim:
    """The turn of this request. `mine`: this call claimed it, and its runner has been started.

    `deadline` is when the run has to end by the monotonic clock; `lease_end` is when its lease
    runs out by the one that counts suspension.
    """

    turn: Turn
    mine: bool
    deadline: Seconds = Seconds(0.0)
    lease_end: Seconds = Seconds(0.0)
    previous: TurnFailure | None = None


Begin = Callable[[Claim], None]
"""Starts the runner of a claim; called once its commit is known, whoever still waits for it."""


@dataclass(slots=True)
class Claiming:
    """One call's claim, over all its tries.

    `nonce` marks the row, so that a commit whose reply was lost is recognised; `previous` is
    what it had overwritten. `in_doubt`: such a commit may have happened. `deadline` and
    `lease_end` count from the first try; `time` is what was left of it as the latest try was
    sent. `taken_over` are the orphans that the latest try has settled, as they were and as they
    became.
    """

    call: Call
    request: ChatRequest
    key: IdempotencyKey
    digest: str
    nonce: str
    place: Place
    began: Seconds
    previous: TurnFailure | None = None
    in_doubt: bool = False
    lost_races: int = 0
    deadline: Seconds | None = None
    time: Seconds = Seconds(0.0)
    lease_end: Seconds | None = None
    taken_over: list[tuple[Turn, Turn]] = field(default_factory=list)

    def mine(self, turn: Turn) -> Claim:
        """It is claimed."""
        deadline, lease_end = self.deadline or Seconds(0.0), self.lease_end or Seconds(0.0)
        return Claim(turn, True, deadline, lease_end, self.previous)


class NewTurns:
    """Times claims by this process's clocks, and writes the turns that they begin."""

    def __init__(self, replica: Replica, timings: TurnTimings) -> None:
        self._monotonic = replica.clock.monotonic
        self._boottime = replica.boottime
        self._new_id = replica.new_id
        self._boot = replica.boot
        self._timings = timings

    def send(self, claiming: Claiming) -> None:
        """A try is about to be sent: note what is left of its time.

        Before a transaction, so that its row's time and lease begin later than its run's.
        """
        now, timings = self._monotonic(), self._timings
        if claiming.deadline is None:
            claiming.deadline = Seconds(now + self._longest(claiming, now))
        claiming.time = Seconds(max(0.0, claiming.deadline - now))
        if claiming.lease_end is None:
            claiming.lease_end = local_lease_end(
                self._boottime(), timings.lease, timings.lease_margin
            )

    def write(
        self,
        tx: Transaction,
        claiming: Claiming,
        conversation: ConversationId | None,
        parent: MessageId | None,
    ) -> Turn:
        """Write the request id, the turn, and the question; whoever does has looked before."""
        key, request = claiming.key, claiming.request
        turn = Turn(
            id=TurnId(self._new_id("turn")),
            tenant=key.tenant,
            user=key.user,
            state=TurnState.RUNNING,
            run=1,
            epoch=1,
            owner=self._boot,
            claim_nonce=claiming.nonce,
            lease_until=tx.now + timedelta(seconds=self._timings.lease),
            deadline_at=tx.now + timedelta(seconds=claiming.time),
            created_at=tx.now,
            request_id=key.request_id,
            conversation=conversation,
            parent=parent,
            user_message=MessageId(self._new_id("msg")) if conversation else None,
            feature=request.feature,
            detach=request.detach,
            linger=self._timings.linger if request.linger is None else request.linger,
            retractions=request.accept_retractions,
        )
        tx.idempotency.insert(IdempotencyRecord(key, turn.id, claiming.digest))
        tx.turns.insert(turn)
        _store_question(tx, turn, request)
        return turn

    def _longest(self, claiming: Claiming, now: Seconds) -> Seconds:
        """How long it may take from now: the caller's deadline, unless it outlives its caller."""
        call, request = claiming.call, claiming.request
        longest = min(
            request.turn_timeout or self._timings.turn_maximum, self._timings.turn_maximum
        )
        if request.detach:
            return longest
        return Seconds(min(longest, max(0.0, call.deadline - now)))


def _store_question(tx: Transaction, turn: Turn, request: ChatRequest) -> None:
    if turn.conversation is None or turn.user_message is None:
        return
    tx.conversations.add_message(
        StoredMessage(
            turn.user_message,
            turn.conversation,
            turn.parent,
            request.message,
            turn.created_at,
            turn=turn.id,
        )
    )
