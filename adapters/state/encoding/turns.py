"""Turns, request ids and logged events as rows."""

from __future__ import annotations

import json
from collections.abc import Sequence

from adapters.state.encoding.values import (
    as_json,
    columns,
    micros,
    optional_micros,
    optional_time,
    pairs,
    time_of,
)
from core.identifiers import (
    BootId,
    ConversationId,
    MessageId,
    RequestId,
    Seconds,
    TenantId,
    TurnId,
    UserId,
)
from core.turns.rows import (
    Decision,
    EndReason,
    IdempotencyKey,
    IdempotencyRecord,
    LoggedEvent,
    ReaderRow,
    Turn,
    TurnFailure,
    TurnState,
)

TurnRow = tuple[
    str, str, str, str, int, int, str, str, int, int, int, str, str | None, str, str | None, str,
    int, int, bool, bool, str | None, bool, float, bool, bool, str | None, str | None, int | None,
    str, int | None, str | None, str | None, bool,
]  # fmt: skip
TURN = columns(
    "id tenant user_id state run epoch owner claim_nonce lease_until deadline_at created_at "
    "request_id conversation parent user_message feature next_seq log_from released done cancel "
    "detached linger retractions rerunnable reason error ended_at "
    "approval wait_until decision sweep forgotten"
)

IdempotencyRow = tuple[str, str, str, str, str, str]
IDEMPOTENCY = columns("tenant user_id operation request_id turn digest")

StoredReader = tuple[str, str, str, int]
READER = columns("turn boot tenant expires_at")

EventRow = tuple[str, int, str, int, int, str, bytes]
EVENT = columns("turn seq tenant run epoch kind body")
EVENT_READ = columns("seq run epoch kind body")

_STATES = {state.value: state for state in TurnState}
_REASONS = {reason.value: reason for reason in EndReason}
_DECISIONS = {decision.value: decision for decision in Decision}

FORGET = "forget"
COMPACT = "compact"
"""What the sweeper has yet to do: forget the request id, then delete the events."""


def turn_row(turn: Turn) -> TurnRow:
    """A turn in the order of TURN."""
    return (
        turn.id,
        turn.tenant,
        turn.user,
        turn.state.value,
        turn.run,
        turn.epoch,
        turn.owner,
        turn.claim_nonce,
        micros(turn.lease_until),
        micros(turn.deadline_at),
        micros(turn.created_at),
        turn.request_id,
        turn.conversation,
        turn.parent or "",
        turn.user_message,
        turn.feature,
        turn.next_seq,
        turn.log_from,
        turn.released,
        turn.done,
        turn.cancel.value if turn.cancel else None,
        turn.detach,
        turn.linger,
        turn.retractions,
        turn.rerunnable,
        turn.reason.value if turn.reason else None,
        _failure_json(turn.error) if turn.error else None,
        optional_micros(turn.ended_at),
        turn.approval,
        optional_micros(turn.wait_until),
        turn.decision.value if turn.decision else None,
        _sweep(turn),
        turn.forgotten,
    )


def _sweep(turn: Turn) -> str | None:
    if not turn.state.ended:
        return None
    if not turn.forgotten:
        return FORGET
    return COMPACT if turn.log_from < turn.next_seq else None


def turn_of(row: TurnRow) -> Turn:
    """The turn of a row in the order of TURN."""
    return Turn(
        id=TurnId(row[0]),
        tenant=TenantId(row[1]),
        user=UserId(row[2]),
        state=_STATES[row[3]],
        run=row[4],
        epoch=row[5],
        owner=BootId(row[6]),
        claim_nonce=row[7],
        lease_until=time_of(row[8]),
        deadline_at=time_of(row[9]),
        created_at=time_of(row[10]),
        request_id=RequestId(row[11]),
        conversation=ConversationId(row[12]) if row[12] is not None else None,
        parent=MessageId(row[13]) if row[13] else None,
        user_message=MessageId(row[14]) if row[14] is not None else None,
        feature=row[15],
        next_seq=row[16],
        log_from=row[17],
        released=bool(row[18]),
        done=bool(row[19]),
        cancel=_REASONS[row[20]] if row[20] else None,
        detach=bool(row[21]),
        linger=Seconds(row[22]),
        retractions=bool(row[23]),
        rerunnable=bool(row[24]),
        reason=_REASONS[row[25]] if row[25] else None,
        error=_failure_of(row[26]) if row[26] else None,
        ended_at=optional_time(row[27]),
        approval=row[28],
        wait_until=optional_time(row[29]),
        decision=_DECISIONS[row[30]] if row[30] else None,
        forgotten=bool(row[32]),
    )


def _failure_json(failure: TurnFailure) -> str:
    return as_json(
        [failure.reason, failure.message, as_json(failure.metadata), failure.retry_after]
    )


def _failure_of(text: str) -> TurnFailure:
    reason, message, metadata, retry_after = json.loads(text)
    return TurnFailure(
        reason, message, pairs(metadata), None if retry_after is None else Seconds(retry_after)
    )


def idempotency_row(record: IdempotencyRecord) -> IdempotencyRow:
    """A record in the order of IDEMPOTENCY."""
    key = record.key
    return (key.tenant, key.user, key.operation, key.request_id, record.turn, record.digest)


def idempotency_of(row: IdempotencyRow) -> IdempotencyRecord:
    """The record of a row in the order of IDEMPOTENCY."""
    tenant, user, operation, request_id, turn, digest = row
    key = IdempotencyKey(TenantId(tenant), UserId(user), operation, RequestId(request_id))
    return IdempotencyRecord(key, TurnId(turn), digest)


def event_rows(turn: Turn, events: Sequence[LoggedEvent]) -> list[EventRow]:
    """Events of a turn, each in the order of EVENT."""
    id, tenant = turn.id, turn.tenant
    return [(id, seq, tenant, run, epoch, kind, body) for seq, run, epoch, kind, body in events]


def event_of(row: tuple[int, int, int, str, bytes]) -> LoggedEvent:
    """The event of a row in the order of EVENT_READ."""
    return LoggedEvent(*row)


def reader_row(reader: ReaderRow) -> StoredReader:
    """A reader's row in the order of READER."""
    return (reader.turn, reader.boot, reader.tenant, micros(reader.expires_at))


def reader_of(row: StoredReader) -> ReaderRow:
    """The reader's row of a row in the order of READER."""
    turn, boot, tenant, expires_at = row
    return ReaderRow(TurnId(turn), TenantId(tenant), BootId(boot), time_of(expires_at))
