"""Each domain error to its status and `google.rpc` details: one table, used once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from core.errors import (
    ATTEMPT,
    ColonnadeError,
    Exhausted,
    Internal,
    InvalidInput,
    NotFound,
    Reason,
)
from core.identifiers import CallId, Seconds
from core.turns.rows import TurnFailure

DOMAIN = "colonnade"
DETAILS_KEY = "grpc-status-details-bin"

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
        *_infos(error.reason.value, error.metadata),
        *_particulars(error),
        error_details_pb2.RequestInfo(request_id=call),
    ]
    code = _STATUS[error.reason]
    rich = _rich(code, error.message, details)
    return Status(
        code, error.message, ((DETAILS_KEY, rich.SerializeToString()),), error.reason.value
    )


def rich_failure(failure: TurnFailure) -> status_pb2.Status:
    """A failed turn's error as a message: what `GetTurn` and a re-run's `started` carry."""
    details = _infos(failure.reason, dict(failure.metadata))
    if failure.retry_after is not None:
        details.append(_retry(failure.retry_after))
    return _rich(_STATUS[Reason(failure.reason)], failure.message, details)


def failure_from(rich: status_pb2.Status) -> TurnFailure | None:
    """The turn's failure in such a message; None where it holds none of ours."""
    for packed in rich.details:
        info = error_details_pb2.ErrorInfo()
        if packed.Unpack(info) and info.domain == DOMAIN:
            return TurnFailure(info.reason, rich.message, tuple(sorted(info.metadata.items())))
    return None


def _rich(code: grpc.StatusCode, message: str, details: list[Message]) -> status_pb2.Status:
    number: int = code.value[0]
    rich = status_pb2.Status(code=number, message=message)
    for detail in details:
        packed = any_pb2.Any()
        packed.Pack(detail)
        rich.details.append(packed)
    return rich


def _particulars(error: ColonnadeError) -> list[Message]:
    details: list[Message] = []
    if isinstance(error, InvalidInput):
        violations = [
            error_details_pb2.BadRequest.FieldViolation(field=v.field, description=v.description)
            for v in error.violations
        ]
        details.append(error_details_pb2.BadRequest(field_violations=violations))
    elif isinstance(error, NotFound):
        details.append(
            error_details_pb2.ResourceInfo(resource_type=error.kind, resource_name=error.name)
        )
    elif isinstance(error, Exhausted):
        violation = error_details_pb2.QuotaFailure.Violation(description=error.message)
        details.append(error_details_pb2.QuotaFailure(violations=[violation]))
    if error.retry_after is not None:
        details.append(_retry(error.retry_after))
    return details


def _infos(reason: str, metadata: Mapping[str, str]) -> list[Message]:
    """The error's own info, and one for each failed attempt that its metadata names."""
    own = {key: value for key, value in metadata.items() if not key.startswith(ATTEMPT)}
    attempts = [
        _info(Reason.ATTEMPT_FAILED.value, {"model": key[len(ATTEMPT) :], "cause": cause})
        for key, cause in metadata.items()
        if key.startswith(ATTEMPT)
    ]
    return [_info(reason, own), *attempts]


def _info(reason: str, metadata: dict[str, str]) -> error_details_pb2.ErrorInfo:
    return error_details_pb2.ErrorInfo(reason=reason, domain=DOMAIN, metadata=metadata)


def _retry(after: Seconds) -> error_details_pb2.RetryInfo:
    delay = duration_pb2.Duration()
    delay.FromNanoseconds(int(after * 1_000_000_000))
    return error_details_pb2.RetryInfo(retry_delay=delay)
