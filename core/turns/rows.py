"""The rows of a turn, as the store keeps them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import NamedTuple

from core.generation import TokenUsage
from core.identifiers import (
    ApiKeyId,
    BootId,
    ConversationId,
    DeploymentName,
    MessageId,
    RequestId,
    Seconds,
    TenantId,
    TurnId,
    UserId,
)

CHAT = "chat"
"""The operation that `Chat` and `StreamChat` are; part of the idempotency key."""


class TurnState(Enum):
    """Where a turn stands. WAITING has no owner and no lease."""

    RUNNING = "RUNNING"
    WAITING = "WAITING"
    FINISHED = "FINISHED"
    FAILED = "FAILED"

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen, but for a re-run."""
        return self in (TurnState.FINISHED, TurnState.FAILED)


class EndReason(Enum):
    """Why a turn ended."""

    STOP = "STOP"
    LENGTH = "LENGTH"
    CONTENT_FILTER = "CONTENT_FILTER"
    REFUSED = "REFUSED"
    CANCELLED = "CANCELLED"
    ABANDONED = "ABANDONED"
    INTERRUPTED = "INTERRUPTED"
    DEADLINE = "DEADLINE"
    ERROR = "ERROR"


class Decision(Enum):
    """What became of the approval that a turn waited for."""

    APPROVED = "APPROVED"
    DENIED = "DENIED"
    EXPIRED = "EXPIRED"


@dataclass(frozen=True, slots=True)
class TurnFailure:
    """What a failed turn tells every reader: an error's reason, message and metadata."""

    reason: str
    message: str
    metadata: tuple[tuple[str, str], ...] = ()
    retry_after: Seconds | None = None


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """One caller's name for one operation."""

    tenant: TenantId
    user: UserId
    operation: str
    request_id: RequestId


@dataclass(frozen=True, slots=True)
class IdempotencyRecord:
    """The turn that the key stands for, and the digest of its content."""

    key: IdempotencyKey
    turn: TurnId
    digest: str


@dataclass(frozen=True, slots=True)
class Turn:
    """The turn's own row. Times are the store's.

    `next_seq` is the number that the next event gets; `log_from` the oldest kept one.
    `released`: something of the answer is in the log. `done`: a tool may have run. `cancel` is
    CANCELLED or ABANDONED once asked for. `approval` names what a WAITING turn waits for, until
    `wait_until`; `decision` is what came of it. A WAITING turn's `owner` is "". `forgotten`: no
    request id stands for it any more.
    """

    id: TurnId
    tenant: TenantId
    user: UserId
    state: TurnState
    run: int
    epoch: int
    owner: BootId
    claim_nonce: str
    lease_until: datetime
    deadline_at: datetime
    created_at: datetime
    request_id: RequestId = RequestId("")
    conversation: ConversationId | None = None
    parent: MessageId | None = None
    user_message: MessageId | None = None
    feature: str = ""
    next_seq: int = 1
    log_from: int = 1
    released: bool = False
    done: bool = False
    cancel: EndReason | None = None
    detach: bool = False
    linger: Seconds = Seconds(0.25)
    retractions: bool = False
    rerunnable: bool = False
    reason: EndReason | None = None
    error: TurnFailure | None = None
    ended_at: datetime | None = None
    approval: str = ""
    wait_until: datetime | None = None
    decision: Decision | None = None
    forgotten: bool = False


@dataclass(frozen=True, slots=True)
class ReaderRow:
    """A replica that has readers of a turn which runs elsewhere."""

    turn: TurnId
    tenant: TenantId
    boot: BootId
    expires_at: datetime


class LoggedEvent(NamedTuple):
    """One event in the log: its number, its kind for queries, and the bytes that go out."""

    seq: int
    run: int
    epoch: int
    kind: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Attempt:
    """One call of one provider on behalf of a unit of spending: a turn, or a bare generation.

    `prompt_tokens` is the bound counted before the call; `used` is None while it is open. `key`
    is the API key that asked for it, and `holder` the name under which a budget's money was set
    aside for it; "" where no budget covers it.
    """

    unit: str
    number: int
    tenant: TenantId
    run: int
    epoch: int
    deployment: DeploymentName
    prompt_tokens: int
    reserved: Decimal | None
    began_at: datetime
    user: UserId = UserId("")
    feature: str = ""
    used: TokenUsage | None = None
    output_bytes: int = 0
    booked: bool = False
    error: str = ""
    key: ApiKeyId = ApiKeyId("")
    holder: str = ""


@dataclass(frozen=True, slots=True)
class LedgerLine:
    """What one attempt cost. `cost` None is unknown, which is not zero.

    `key` is the API key through which was spent; "" of what was booked before keys were.
    """

    unit: str
    attempt: int
    tenant: TenantId
    user: UserId
    feature: str
    deployment: DeploymentName
    model: str
    usage: TokenUsage
    cost: Decimal | None
    currency: str
    estimated: bool
    booked_at: datetime
    key: ApiKeyId = ApiKeyId("")


@dataclass(frozen=True, slots=True)
class ExecutionRecord:
    """Everything that an auditor or the log line needs to know of a turn that ended."""

    turn: TurnId
    request_id: RequestId
    tenant: TenantId
    user: UserId
    prompt_version: str
    model_version: str
    retrieved: tuple[str, ...]
    tool_calls: tuple[str, ...]
    latency_ms: float
    first_event_ms: float | None
    usage: TokenUsage
    cost: Decimal | None
    currency: str
    validation: str
    answered_by: str
    reason: str
    details: tuple[tuple[str, str], ...] = field(default=())
