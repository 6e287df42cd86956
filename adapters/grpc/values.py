"""Small values between messages and domain: times, money, tokens, verdicts."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from colonnade.v1 import turns_pb2, usage_pb2
from core.generation import TokenUsage
from core.grounding.verdict import AnsweredBy, Remark, Verdict, VerdictStatus
from core.identifiers import Seconds
from core.turns.events import Latencies
from core.turns.rows import EndReason

_STATUS = {
    VerdictStatus.PASS: turns_pb2.Validation.STATUS_PASS,
    VerdictStatus.REPAIRED: turns_pb2.Validation.STATUS_REPAIRED,
    VerdictStatus.REPLACED: turns_pb2.Validation.STATUS_REPLACED,
    VerdictStatus.REFUSED: turns_pb2.Validation.STATUS_REFUSED,
}
_BY = {
    AnsweredBy.MODEL: turns_pb2.Validation.ANSWERED_BY_MODEL,
    AnsweredBy.REPAIR: turns_pb2.Validation.ANSWERED_BY_REPAIR,
    AnsweredBy.EXTRACTION: turns_pb2.Validation.ANSWERED_BY_EXTRACTION,
}
_REASONS: dict[EndReason | None, turns_pb2.FinishReason.ValueType] = {
    reason: turns_pb2.FinishReason.Value(f"FINISH_REASON_{reason.value}") for reason in EndReason
}
_REASONS[None] = turns_pb2.FINISH_REASON_UNSPECIFIED
_NANOSECONDS = 1_000_000_000
_STATUS_BACK = {number: status for status, number in _STATUS.items()}
_BY_BACK = {number: by for by, number in _BY.items()}


def timestamp(at: datetime | None) -> Timestamp | None:
    """An aware time; None stays unset."""
    if at is None:
        return None
    stamp = Timestamp()
    stamp.FromDatetime(at.astimezone(UTC).replace(tzinfo=None))
    return stamp


def duration(seconds: float | None) -> Duration | None:
    """A length of time; None stays unset."""
    if seconds is None:
        return None
    value = Duration()
    _put_duration(value, seconds)
    return value


def _put_duration(value: Duration, seconds: float) -> None:
    nanoseconds = int(seconds * _NANOSECONDS)
    if nanoseconds < 0:  # protobuf's own way, for the rare case; it takes three times as long
        value.FromNanoseconds(nanoseconds)
    else:
        value.seconds, value.nanos = nanoseconds // _NANOSECONDS, nanoseconds % _NANOSECONDS


def seconds(value: Duration) -> Seconds:
    """A duration's length."""
    return Seconds(value.seconds + value.nanos / 1_000_000_000)


def money(amount: Decimal | None, currency: str) -> usage_pb2.Money | None:
    """An exact amount in plain digits; an unknown one stays unset, which is not zero."""
    if amount is None:
        return None
    value = usage_pb2.Money()
    put_money(value, amount, currency)
    return value


def put_money(value: usage_pb2.Money, amount: Decimal, currency: str) -> None:
    """The same of a known amount, into a message."""
    plain = f"{amount:f}"
    if "." in plain and plain[-1] in "0.":
        plain = plain.rstrip("0").rstrip(".") or "0"
    value.amount = plain
    value.currency_code = currency


def amount(value: usage_pb2.Money) -> Decimal | None:
    """The amount in a message that we wrote; None where it was unset."""
    return Decimal(value.amount) if value.amount else None


def usage(tokens: TokenUsage, *, estimated: bool = False) -> usage_pb2.Usage:
    """Tokens; what is unknown stays unset."""
    value = usage_pb2.Usage()
    put_usage(value, tokens, estimated=estimated)
    return value


def put_usage(value: usage_pb2.Usage, tokens: TokenUsage, *, estimated: bool) -> None:
    """The same, into a message, which counts as set however little is known."""
    value.SetInParent()
    if tokens.prompt is not None:
        value.prompt_tokens = tokens.prompt
    if tokens.completion is not None:
        value.output_tokens = tokens.completion
    if tokens.cached_prompt is not None:
        value.cached_prompt_tokens = tokens.cached_prompt
    if tokens.reasoning is not None:
        value.reasoning_tokens = tokens.reasoning
    if estimated:
        value.estimated = True


def tokens(value: usage_pb2.Usage) -> TokenUsage:
    """The same, back."""
    return TokenUsage(
        prompt=value.prompt_tokens if value.HasField("prompt_tokens") else None,
        completion=value.output_tokens if value.HasField("output_tokens") else None,
        cached_prompt=(
            value.cached_prompt_tokens if value.HasField("cached_prompt_tokens") else None
        ),
        reasoning=value.reasoning_tokens if value.HasField("reasoning_tokens") else None,
    )


def put_latencies(value: usage_pb2.Latencies, took: Latencies) -> None:
    """How long the stages took, into a message; a stage that did not happen stays unset."""
    value.SetInParent()
    if took.retrieval is not None:
        _put_duration(value.retrieval, took.retrieval)
    if took.first_text is not None:
        _put_duration(value.first_text, took.first_text)
    if took.generation is not None:
        _put_duration(value.generation, took.generation)
    if took.total is not None:
        _put_duration(value.total, took.total)


def latencies(took: Latencies) -> usage_pb2.Latencies:
    """The same, as a message."""
    value = usage_pb2.Latencies()
    put_latencies(value, took)
    return value


def validation(verdict: Verdict) -> turns_pb2.Validation:
    """A verdict and what was found."""
    return turns_pb2.Validation(
        status=_STATUS[verdict.status],
        answered_by=_BY[verdict.answered_by],
        findings=[
            turns_pb2.Validation.Finding(rule=found.rule, detail=found.detail)
            for found in verdict.details
        ],
    )


def verdict(value: turns_pb2.Validation) -> Verdict:
    """The same, back."""
    return Verdict(
        _STATUS_BACK[value.status],
        _BY_BACK[value.answered_by],
        tuple(Remark(found.rule, found.detail) for found in value.findings),
    )


def finish_reason(reason: EndReason | None) -> turns_pb2.FinishReason.ValueType:
    """Why a turn ended; unspecified while it has not."""
    return _REASONS[reason]


def end_reason(value: turns_pb2.FinishReason.ValueType) -> EndReason:
    """The same, back."""
    return EndReason(turns_pb2.FinishReason.Name(value).removeprefix("FINISH_REASON_"))
