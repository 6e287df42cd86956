"""What a call can end with, as exceptions: one class for each family of statuses.

Decide by the class or by `reason`; the message is for people and may change.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import grpc


@dataclass(frozen=True, slots=True)
class Violation:
    """A field that breaks a rule of the contract, and how to mend it."""

    field: str
    description: str


@dataclass(frozen=True, slots=True)
class FailedAttempt:
    """A deployment that was tried and failed. `cause` is a word such as `overloaded`.

    `detail` is what its provider said, where the request asked to have things explained.
    """

    model: str
    cause: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Failure:
    """An error as a value.

    `reason` is empty where the error came from the connection, or from this client, and not from
    the server. `retry_after` is in seconds, None where the server gave no advice.
    """

    code: grpc.StatusCode
    message: str
    reason: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    retry_after: float | None = None
    call_id: str = ""
    violations: tuple[Violation, ...] = ()
    attempts: tuple[FailedAttempt, ...] = ()


class ColonnadeError(Exception):
    """A call that did not succeed. Every error of a call to the server is one of these."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure)
        self.failure = failure

    @property
    def code(self) -> grpc.StatusCode:
        """The gRPC status."""
        return self.failure.code

    @property
    def message(self) -> str:
        """What happened, for people."""
        return self.failure.message

    @property
    def reason(self) -> str:
        """A value of `ErrorReason` without its prefix; empty for an error of the connection."""
        return self.failure.reason

    @property
    def metadata(self) -> Mapping[str, str]:
        """What the reason is about, such as `turn_id`; the reason's documentation has the keys."""
        return self.failure.metadata

    @property
    def retry_after(self) -> float | None:
        """Seconds after which the server wants the call repeated; None where it did not say."""
        return self.failure.retry_after

    @property
    def call_id(self) -> str:
        """The server's id of the call, for a report; empty where no server answered."""
        return self.failure.call_id

    def __str__(self) -> str:
        failure = self.failure
        marks = [failure.reason or failure.code.name]
        if failure.call_id:
            marks.append(f"call {failure.call_id}")
        return f"{failure.message} ({', '.join(marks)})"


class InvalidArgument(ColonnadeError):
    """The request breaks rules of the contract; it never works as it stands."""

    @property
    def violations(self) -> tuple[Violation, ...]:
        """Each field that is wrong."""
        return self.failure.violations


class NotFound(ColonnadeError):
    """What the request names does not exist, or belongs to somebody else."""


class AlreadyExists(ColonnadeError):
    """The name is taken, or the `request_id` was used for something else."""


class Aborted(ColonnadeError):
    """Somebody else was faster: the branch is busy, or the etag is stale."""


class PermissionDenied(ColonnadeError):
    """The key may not do this."""


class Unauthenticated(ColonnadeError):
    """The call carries no key, or one that opens nothing."""


class FailedPrecondition(ColonnadeError):
    """The server can't do this as it is set up, or a rule of the tenant forbids it."""


class ResourceExhausted(ColonnadeError):
    """Too much at once, or the server's disk is full; `retry_after` may say when to come back."""


class Unavailable(ColonnadeError):
    """The server, or every model behind it, can't be reached now."""

    @property
    def attempts(self) -> tuple[FailedAttempt, ...]:
        """For `MODELS_UNAVAILABLE`: what was tried, in order."""
        return self.failure.attempts


class DeadlineExceeded(ColonnadeError):
    """The time was over. The metadata name the turn, if there is one."""


class OutOfRange(ColonnadeError):
    """The input is too long for the model, or the wanted events are no longer kept."""


class DataLoss(ColonnadeError):
    """The server does not have any more what it had sent."""


class Cancelled(ColonnadeError):
    """The call, or its turn, was cancelled, and not by this call."""


class Unimplemented(ColonnadeError):
    """The server does not know the method: it is older than this client, or not Colonnade."""


class Internal(ColonnadeError):
    """A mistake in the server, or in what lies between; report it with the `call_id`."""


_CLASSES: Mapping[grpc.StatusCode, type[ColonnadeError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidArgument,
    grpc.StatusCode.NOT_FOUND: NotFound,
    grpc.StatusCode.ALREADY_EXISTS: AlreadyExists,
    grpc.StatusCode.ABORTED: Aborted,
    grpc.StatusCode.PERMISSION_DENIED: PermissionDenied,
    grpc.StatusCode.UNAUTHENTICATED: Unauthenticated,
    grpc.StatusCode.FAILED_PRECONDITION: FailedPrecondition,
    grpc.StatusCode.RESOURCE_EXHAUSTED: ResourceExhausted,
    grpc.StatusCode.UNAVAILABLE: Unavailable,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceeded,
    grpc.StatusCode.OUT_OF_RANGE: OutOfRange,
    grpc.StatusCode.DATA_LOSS: DataLoss,
    grpc.StatusCode.CANCELLED: Cancelled,
    grpc.StatusCode.UNIMPLEMENTED: Unimplemented,
}


def error_of(failure: Failure) -> ColonnadeError:
    """The exception for a failure."""
    return _CLASSES.get(failure.code, Internal)(failure)
