"""Attempts, ledger lines and execution records as rows."""

from __future__ import annotations

from adapters.state.encoding.values import (
    amount_of,
    as_json,
    columns,
    micros,
    money,
    pairs,
    text_list_json,
    texts,
    time_of,
    usage_json,
    usage_of,
)
from core.identifiers import ApiKeyId, DeploymentName, RequestId, TenantId, TurnId, UserId
from core.turns.rows import Attempt, ExecutionRecord, LedgerLine

AttemptRow = tuple[
    str, int, str, int, int, str, int, str | None, int, str, str, str | None, int, bool, str,
    str, str,
]  # fmt: skip
ATTEMPT = columns(
    "unit number tenant run epoch deployment prompt_tokens reserved began_at user_id feature "
    "used output_bytes booked error key_id holder"
)

LedgerRow = tuple[
    str, int, str, str, str, str, str, str, str | None, str, bool, int, str
]  # fmt: skip
LEDGER = columns(
    "unit attempt tenant user_id feature deployment model usage cost currency estimated booked_at "
    "key_id"
)

ExecutionRow = tuple[
    str, str, str, str, str, str, str, str, float, float | None, str, str | None,
    str, str, str, str, str,
]  # fmt: skip
EXECUTION = columns(
    "turn request_id tenant user_id prompt_version model_version retrieved tool_calls latency_ms "
    "first_event_ms usage cost currency validation answered_by reason details"
)


def attempt_row(attempt: Attempt) -> AttemptRow:
    """An attempt in the order of ATTEMPT."""
    return (
        attempt.unit,
        attempt.number,
        attempt.tenant,
        attempt.run,
        attempt.epoch,
        attempt.deployment,
        attempt.prompt_tokens,
        money(attempt.reserved),
        micros(attempt.began_at),
        attempt.user,
        attempt.feature,
        usage_json(attempt.used) if attempt.used is not None else None,
        attempt.output_bytes,
        attempt.booked,
        attempt.error,
        attempt.key,
        attempt.holder,
    )


def attempt_of(row: AttemptRow) -> Attempt:
    """The attempt of a row in the order of ATTEMPT."""
    return Attempt(
        unit=row[0],
        number=row[1],
        tenant=TenantId(row[2]),
        run=row[3],
        epoch=row[4],
        deployment=DeploymentName(row[5]),
        prompt_tokens=row[6],
        reserved=amount_of(row[7]),
        began_at=time_of(row[8]),
        user=UserId(row[9]),
        feature=row[10],
        used=usage_of(row[11]) if row[11] is not None else None,
        output_bytes=row[12],
        booked=bool(row[13]),
        error=row[14],
        key=ApiKeyId(row[15]),
        holder=row[16],
    )


def ledger_row(line: LedgerLine) -> LedgerRow:
    """A ledger line in the order of LEDGER."""
    return (
        line.unit,
        line.attempt,
        line.tenant,
        line.user,
        line.feature,
        line.deployment,
        line.model,
        usage_json(line.usage),
        money(line.cost),
        line.currency,
        line.estimated,
        micros(line.booked_at),
        line.key,
    )


def ledger_of(row: LedgerRow) -> LedgerLine:
    """The line of a row in the order of LEDGER."""
    return LedgerLine(
        unit=row[0],
        attempt=row[1],
        tenant=TenantId(row[2]),
        user=UserId(row[3]),
        feature=row[4],
        deployment=DeploymentName(row[5]),
        model=row[6],
        usage=usage_of(row[7]),
        cost=amount_of(row[8]),
        currency=row[9],
        estimated=bool(row[10]),
        booked_at=time_of(row[11]),
        key=ApiKeyId(row[12]),
    )


def execution_row(record: ExecutionRecord) -> ExecutionRow:
    """An execution record in the order of EXECUTION."""
    return (
        record.turn,
        record.request_id,
        record.tenant,
        record.user,
        record.prompt_version,
        record.model_version,
        text_list_json(record.retrieved),
        text_list_json(record.tool_calls),
        record.latency_ms,
        record.first_event_ms,
        usage_json(record.usage),
        money(record.cost),
        record.currency,
        record.validation,
        record.answered_by,
        record.reason,
        as_json(record.details) if record.details else "[]",
    )


def execution_of(row: ExecutionRow) -> ExecutionRecord:
    """The record of a row in the order of EXECUTION."""
    return ExecutionRecord(
        turn=TurnId(row[0]),
        request_id=RequestId(row[1]),
        tenant=TenantId(row[2]),
        user=UserId(row[3]),
        prompt_version=row[4],
        model_version=row[5],
        retrieved=texts(row[6]),
        tool_calls=texts(row[7]),
        latency_ms=row[8],
        first_event_ms=row[9],
        usage=usage_of(row[10]),
        cost=amount_of(row[11]),
        currency=row[12],
        validation=row[13],
        answered_by=row[14],
        reason=row[15],
        details=pairs(row[16]),
    )
