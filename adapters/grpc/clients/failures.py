"""What another process's status says, as the domain error that was raised there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import grpc
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2

from adapters.grpc import values
from adapters.grpc.errors import DETAILS_KEY, DOMAIN
from core.errors import (
    AlreadyExists,
    BranchBusy,
    BudgetSpent,
    ColonnadeError,
    Conflict,
    ContextTooLong,
    DeadlineExceeded,
    Exhausted,
    FeatureUnsupported,
    FieldViolation,
    Internal,
    InvalidInput,
    ModelsUnavailable,
    NotFound,
    PreconditionFailed,
    Reason,
    RequestIdReused,
    StorageFull,
    Unavailable,
)
from core.identifiers import Seconds

_CREDENTIALS = {
    Reason.CREDENTIALS_MISSING,
    Reason.CREDENTIALS_INVALID,
    Reason.SCOPE_MISSING,
}
"""Refusals of this process, of which its own caller can do nothing."""


class ConnectionLost(Exception):
    """The status is not one that a server of ours gave: the connection, or the process, is gone."""


class Misconfigured(Unavailable):
    """The other process refuses this one; only an operator can mend that."""


@dataclass(slots=True)
class _Told:
    """The details of a status."""

    message: str
    reason: Reason | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    attempts: list[Mapping[str, str]] = field(default_factory=list)
    violations: list[FieldViolation] = field(default_factory=list)
    retry_after: Seconds | None = None


def domain_error(error: grpc.aio.AioRpcError) -> ColonnadeError | ConnectionLost:
    """The error that was raised in the other process, or ConnectionLost where none was."""
    told = _told(error)
    if told is None or told.reason is None:
        return _without_details(error)
    if told.reason in _CREDENTIALS:
        return Misconfigured(
            "the process that hosts the models refuses this server; its operator must see to "
            f"mesh.key ({told.reason.value})"
        )
    rebuilt = _BUILDERS.get(told.reason, _plain(ColonnadeError))(told)
    rebuilt.message = told.message
    if told.retry_after is not None:
        rebuilt.retry_after = told.retry_after
    return rebuilt


def _without_details(error: grpc.aio.AioRpcError) -> ColonnadeError | ConnectionLost:
    code = error.code()
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return DeadlineExceeded("no time was left for the model")
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return Exhausted("the prompt is larger than a message may be", limit="message size")
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return Misconfigured("the process at mesh.models does not host models")
    return ConnectionLost(error.details() or code.name)


def _told(error: grpc.aio.AioRpcError) -> _Told | None:
    rich = status_pb2.Status()
    for key, value in error.trailing_metadata() or ():
        if key == DETAILS_KEY and isinstance(value, bytes):
            try:
                rich.ParseFromString(value)
            except DecodeError:
                return None
    told = _Told(rich.message)
    for packed in rich.details:
        for kind, read in _READERS:
            detail = kind()
            if packed.Unpack(detail):
                read(told, detail)
    return told


def _info(told: _Told, info: error_details_pb2.ErrorInfo) -> None:
    if info.domain != DOMAIN or info.reason not in Reason.__members__:
        return
    if told.reason is not None and info.reason == Reason.ATTEMPT_FAILED.value:
        told.attempts.append(dict(info.metadata))
    else:
        told.reason, told.metadata = Reason(info.reason), dict(info.metadata)


def _request(told: _Told, detail: error_details_pb2.BadRequest) -> None:
    for violation in detail.field_violations:
        told.violations.append(FieldViolation(violation.field, violation.description))


def _retry(told: _Told, detail: error_details_pb2.RetryInfo) -> None:
    told.retry_after = values.seconds(detail.retry_delay)


_READERS: tuple[tuple[type[Message], Callable[..., None]], ...] = (
    (error_details_pb2.ErrorInfo, _info),
    (error_details_pb2.BadRequest, _request),
    (error_details_pb2.RetryInfo, _retry),
)


def _plain(kind: type[ColonnadeError]) -> Callable[[_Told], ColonnadeError]:
    def build(told: _Told) -> ColonnadeError:
        error = kind(told.message)
        error.metadata = told.metadata
        error.reason = told.reason or kind.reason
        return error

    return build


def _not_found(told: _Told) -> ColonnadeError:
    return NotFound(told.metadata.get("kind", ""), told.metadata.get("name", ""))


def _too_long(told: _Told) -> ColonnadeError:
    needed, allowed = (told.metadata.get(f"{key}_tokens", "0") for key in ("needed", "allowed"))
    return ContextTooLong(int(needed), int(allowed))


def _budget(told: _Told) -> ColonnadeError:
    error = BudgetSpent(told.metadata.get("budget", ""), told.message)
    error.metadata = told.metadata
    return error


def _models(told: _Told) -> ColonnadeError:
    attempts = [(each.get("model", ""), each.get("cause", "")) for each in told.attempts]
    words = {each["model"]: each["detail"] for each in told.attempts if "detail" in each}
    return ModelsUnavailable(attempts, words)


_BUILDERS: Mapping[Reason, Callable[[_Told], ColonnadeError]] = {
    Reason.INVALID_FIELD: lambda told: InvalidInput(told.violations),
    Reason.RESOURCE_NOT_FOUND: _not_found,
    Reason.CONTEXT_TOO_LONG: _too_long,
    Reason.MODELS_UNAVAILABLE: _models,
    Reason.BUDGET_SPENT: _budget,
} | {
    kind.reason: _plain(kind)
    for kind in (
        AlreadyExists,
        BranchBusy,
        Conflict,
        DeadlineExceeded,
        Exhausted,
        FeatureUnsupported,
        Internal,
        PreconditionFailed,
        RequestIdReused,
        StorageFull,
        Unavailable,
    )
}
