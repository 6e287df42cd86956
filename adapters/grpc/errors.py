"""Each domain error to its status and `google.rpc` details: one table, used once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from adapters.grpc import values
from core.errors import (
    ATTEMPT,
    DETAIL,
    ColonnadeError,
    Internal,
    InvalidInput,
    Reason,
)
from core.identifiers import CallId, Seconds
from core.turns.rows import TurnFailure

Detail = TypeVar("Detail", bound=Message)

DOMAIN = "colonnade"
DETAILS_KEY = "grpc-status-details-bin"

_OF_ATTEMPTS = (ATTEMPT, DETAIL)
_MESSAGE_BYTES, _VALUE_BYTES, _VIOLATIONS_BYTES, _MOST_ATTEMPTS = 480, 240, 2000, 10
"""A status travels in a trailer, of which clients take 8 KiB in all: base64 adds a third, and
in a message each byte beyond ASCII takes three."""

_STATUS = {
    Reason.INVALID_FIELD: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.RESOURCE_NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    Reason.RESOURCE_EXISTS: grpc.StatusCode.ALREADY_EXISTS,
    Reason.REQUEST_ID_REUSED: grpc.StatusCode.ALREADY_EXISTS,
    Reason.BRANCH_BUSY: grpc.StatusCode.ABORTED,
    Reason.STALE_ETAG: grpc.StatusCode.ABORTED,
    Reason.POLICY_REFUSED: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.SCOPE_MISSING: grpc.StatusCode.PERMISSION_DENIED,
    Reason.RETRACTIONS_REQUIRED: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.FEATURE_UNSUPPORTED: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.CREDENTIALS_MISSING: grpc.StatusCode.UNAUTHENTICATED,
    Reason.CREDENTIALS_INVALID: grpc.StatusCode.UNAUTHENTICATED,
    Reason.TOO_MANY_REQUESTS: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Reason.STORAGE_FULL: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Reason.MODELS_UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
    Reason.ATTEMPT_FAILED: grpc.StatusCode.UNAVAILABLE,
    Reason.SERVICE_UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
    Reason.CONTEXT_TOO_LONG: grpc.StatusCode.OUT_OF_RANGE,
    Reason.DEADLINE_EXCEEDED: grpc.StatusCode.DEADLINE_EXCEEDED,
    Reason.TURN_ABANDONED: grpc.StatusCode.CANCELLED,
    Reason.TURN_INTERRUPTED: grpc.StatusCode.UNAVAILABLE,
    Reason.TURN_LOG_EXPIRED: grpc.StatusCode.OUT_OF_RANGE,
    Reason.TURN_LOG_LOST: grpc.StatusCode.DATA_LOSS,
    Reason.INTERNAL: grpc.StatusCode.INTERNAL,
    Reason.BUDGET_SPENT: grpc.StatusCode.RESOURCE_EXHAUSTED,
}


@dataclass(frozen=True, slots=True)
class Status:
    """What a call ends with."""

    code: grpc.StatusCode
    message: str
    details: tuple[tuple[str, bytes], ...]
    reason: str


def status_of(error: BaseException, call: CallId) -> Status:
    """The status of an error. What is not a domain error is a bug, and tells nothing."""
    if not isinstance(error, ColonnadeError):
        error = Internal(f"the server failed on call {call}; its log says why")
    details: list[Message] = [
        *_about(error.reason, error.message, error.metadata),
        *_violations(error),
        *_advice(error.retry_after),
        error_details_pb2.RequestInfo(request_id=call),
    ]
    code = _STATUS[error.reason]
    rich = _rich(code, error.message, details)
    trailer = ((DETAILS_KEY, rich.SerializeToString()),)
    return Status(code, rich.message, trailer, error.reason.value)


def rich_failure(failure: TurnFailure) -> status_pb2.Status:
    """A failed turn's error as a message: what `GetTurn` and a re-run's `started` carry."""
    reason = Reason(failure.reason)
    about = _about(reason, failure.message, dict(failure.metadata))
    return _rich(_STATUS[reason], failure.message, [*about, *_advice(failure.retry_after)])


def failure_from(rich: status_pb2.Status) -> TurnFailure | None:
    """The turn's failure in such a message; None where it holds none of ours."""
    infos = _unpacked(rich, error_details_pb2.ErrorInfo)
    own = [info for info in infos if info.domain == DOMAIN]
    if not own:
        return None
    metadata = dict(own[0].metadata)
    for attempt in own[1:]:
        metadata[ATTEMPT + attempt.metadata["model"]] = attempt.metadata["cause"]
    advice = _unpacked(rich, error_details_pb2.RetryInfo)
    retry_after = values.seconds(advice[0].retry_delay) if advice else None
    return TurnFailure(own[0].reason, rich.message, tuple(sorted(metadata.items())), retry_after)


def _unpacked(rich: status_pb2.Status, kind: type[Detail]) -> list[Detail]:
    """The details of one kind, in order."""
    found: list[Detail] = []
    for packed in rich.details:
        detail = kind()
        if packed.Unpack(detail):
            found.append(detail)
    return found


def _rich(code: grpc.StatusCode, message: str, details: Sequence[Message]) -> status_pb2.Status:
    number: int = code.value[0]
    rich = status_pb2.Status(code=number, message=_short(message, _MESSAGE_BYTES))
    for detail in details:
        packed = any_pb2.Any()
        packed.Pack(detail)
        rich.details.append(packed)
    return rich


def _about(reason: Reason, message: str, metadata: Mapping[str, str]) -> list[Message]:
    """The reason, and what its kind of error tells besides."""
    own = {key: value for key, value in metadata.items() if not key.startswith(_OF_ATTEMPTS)}
    details: list[Message] = [_info(reason, own), *_attempts(metadata)]
    if reason is Reason.RESOURCE_NOT_FOUND:
        details.append(
            error_details_pb2.ResourceInfo(
                resource_type=own.get("kind", ""),
                resource_name=_short(own.get("name", ""), _VALUE_BYTES),
            )
        )
    if _STATUS[reason] is grpc.StatusCode.RESOURCE_EXHAUSTED:
        violation = error_details_pb2.QuotaFailure.Violation(
            subject=own.get("limit", ""), description=_short(message, _VALUE_BYTES)
        )
        details.append(error_details_pb2.QuotaFailure(violations=[violation]))
    return details


def _attempts(metadata: Mapping[str, str]) -> list[Message]:
    """One info for each failed attempt that the metadata names."""
    return [
        _info(Reason.ATTEMPT_FAILED, _attempt(key[len(ATTEMPT) :], cause, metadata))
        for key, cause in islice(metadata.items(), _MOST_ATTEMPTS)
        if key.startswith(ATTEMPT)
    ]


def _attempt(model: str, cause: str, metadata: Mapping[str, str]) -> Mapping[str, str]:
    words = metadata.get(DETAIL + model)
    return {"model": model, "cause": cause} | ({"detail": words} if words else {})


def _info(reason: Reason, metadata: Mapping[str, str]) -> error_details_pb2.ErrorInfo:
    short = {key: _short(value, _VALUE_BYTES) for key, value in metadata.items()}
    return error_details_pb2.ErrorInfo(reason=reason.value, domain=DOMAIN, metadata=short)


def _violations(error: ColonnadeError) -> list[Message]:
    """The wrong fields, as many of them as a trailer has room for."""
    if not isinstance(error, InvalidInput):
        return []
    told: list[error_details_pb2.BadRequest.FieldViolation] = []
    room = _VIOLATIONS_BYTES
    for found in error.violations:
        violation = error_details_pb2.BadRequest.FieldViolation(
            field=_short(found.field, _VALUE_BYTES),
            description=_short(found.description, _VALUE_BYTES),
        )
        room -= violation.ByteSize()
        if room < 0:
            break
        told.append(violation)
    return [error_details_pb2.BadRequest(field_violations=told)]


def _advice(after: Seconds | None) -> list[Message]:
    if after is None:
        return []
    delay = duration_pb2.Duration()
    delay.FromNanoseconds(int(after * 1_000_000_000))
    return [error_details_pb2.RetryInfo(retry_delay=delay)]


def _short(text: str, most_bytes: int) -> str:
    """The text, cut to so many bytes in UTF-8; what is cut ends in an ellipsis."""
    encoded = text.encode("utf-8", "replace")
    if len(encoded) <= most_bytes:
        return encoded.decode()
    return encoded[: most_bytes - 3].decode("utf-8", "ignore") + "…"
