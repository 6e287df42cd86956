"""Everything that can go wrong, as types. The transport maps each once to a status.

A message is for the caller: it names the field or the resource and says how to mend it, and
never contains a secret, a stack or another tenant's data. `metadata` holds the same facts for
programs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from core.identifiers import Seconds


class Reason(Enum):
    """The stable names of our errors; `colonnade.v1.ErrorReason` has the same values."""

    INVALID_FIELD = "INVALID_FIELD"
    RESOURCE_NOT_FOUND = "RESOURCE_NOT_FOUND"
    REQUEST_ID_REUSED = "REQUEST_ID_REUSED"
    RESOURCE_EXISTS = "RESOURCE_EXISTS"
    BRANCH_BUSY = "BRANCH_BUSY"
    STALE_ETAG = "STALE_ETAG"
    POLICY_REFUSED = "POLICY_REFUSED"
    SCOPE_MISSING = "SCOPE_MISSING"
    RETRACTIONS_REQUIRED = "RETRACTIONS_REQUIRED"
    FEATURE_UNSUPPORTED = "FEATURE_UNSUPPORTED"
    CREDENTIALS_MISSING = "CREDENTIALS_MISSING"
    CREDENTIALS_INVALID = "CREDENTIALS_INVALID"
    TOO_MANY_REQUESTS = "TOO_MANY_REQUESTS"
    STORAGE_FULL = "STORAGE_FULL"
    MODELS_UNAVAILABLE = "MODELS_UNAVAILABLE"
    ATTEMPT_FAILED = "ATTEMPT_FAILED"
    SERVICE_UNAVAILABLE = "SERVICE_UNAVAILABLE"
    CONTEXT_TOO_LONG = "CONTEXT_TOO_LONG"
    DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"
    TURN_ABANDONED = "TURN_ABANDONED"
    TURN_INTERRUPTED = "TURN_INTERRUPTED"
    TURN_LOG_EXPIRED = "TURN_LOG_EXPIRED"
    TURN_LOG_LOST = "TURN_LOG_LOST"
    INTERNAL = "INTERNAL"
    BUDGET_SPENT = "BUDGET_SPENT"


class ColonnadeError(Exception):
    """An error with a stable reason. `retry_after` is the server's advice, None if it has none."""

    reason = Reason.INTERNAL
    retry_after: Seconds | None = None

    def __init__(
        self, message: str, *, retry_after: Seconds | None = None, **metadata: str
    ) -> None:
        super().__init__(message)
        self.message = message
        self.metadata: Mapping[str, str] = metadata
        if retry_after is not None:
            self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One field that does not hold what it must: its path, and how to mend it."""

    field: str
    description: str


class InvalidInput(ColonnadeError):
    """The request itself is wrong; sending it again changes nothing."""

    reason = Reason.INVALID_FIELD

    def __init__(self, violations: Sequence[FieldViolation]) -> None:
        super().__init__("; ".join(f"{v.field}: {v.description}" for v in violations))
        self.violations = tuple(violations)

    @classmethod
    def at(cls, field: str, description: str) -> InvalidInput:
        """One violation."""
        return cls([FieldViolation(field, description)])


class NotFound(ColonnadeError):
    """No such resource for this caller; a foreign tenant's is told no other way."""

    reason = Reason.RESOURCE_NOT_FOUND

    def __init__(self, kind: str, name: str) -> None:
        super().__init__(f"no {kind} {name!r}", kind=kind, name=name)
        self.kind = kind
        self.name = name


class AlreadyExists(ColonnadeError):
    """The name is taken, or the `request_id` was used for other content."""

    reason = Reason.RESOURCE_EXISTS


class RequestIdReused(AlreadyExists):
    """The `request_id` stands for a request with other content."""

    reason = Reason.REQUEST_ID_REUSED


class Conflict(ColonnadeError):
    """Somebody else was first; read again and decide anew."""

    reason = Reason.STALE_ETAG


class BranchBusy(Conflict):
    """The message already has a turn that runs on it."""

    reason = Reason.BRANCH_BUSY


class PermissionRefused(ColonnadeError):
    """The caller is known but lacks the right."""

    reason = Reason.SCOPE_MISSING


class PreconditionFailed(ColonnadeError):
    """A policy or the state of the resource forbids it."""

    reason = Reason.POLICY_REFUSED


class FeatureUnsupported(PreconditionFailed):
    """No configured deployment can do what the request asks for; the message names it."""

    reason = Reason.FEATURE_UNSUPPORTED


class RetractionsRequired(PreconditionFailed):
    """The turn may take text back, and this reader did not say that it accepts that."""

    reason = Reason.RETRACTIONS_REQUIRED


class Unauthenticated(ColonnadeError):
    """No credentials, or none that are known."""

    reason = Reason.CREDENTIALS_INVALID


class CredentialsMissing(Unauthenticated):
    """The call carries no credentials."""

    reason = Reason.CREDENTIALS_MISSING


class Exhausted(ColonnadeError):
    """A limit is reached; `retry_after` says when to come back."""

    reason = Reason.TOO_MANY_REQUESTS
    retry_after: Seconds | None = Seconds(1.0)


class StorageFull(Exhausted):
    """The disk that the data lies on is full; somebody must make room."""

    reason = Reason.STORAGE_FULL
    retry_after = Seconds(30.0)


class BudgetSpent(Exhausted):
    """With this request a budget that covers it might be exceeded."""

    reason = Reason.BUDGET_SPENT
    retry_after: Seconds | None = None

    def __init__(self, budget: str, message: str, *, retry_after: Seconds | None = None) -> None:
        super().__init__(message, retry_after=retry_after, budget=budget, limit=f"budget {budget}")
        self.budget = budget


class Unavailable(ColonnadeError):
    """Something this needs cannot be reached now; trying again later may succeed."""

    reason = Reason.SERVICE_UNAVAILABLE
    retry_after = Seconds(1.0)


ATTEMPT = "attempt:"
"""In metadata, `attempt:DEPLOYMENT` holds the cause of one attempt's failure."""
DETAIL = "detail:"
"""In metadata, `detail:DEPLOYMENT` holds what the provider said, where the caller asked for it."""


class ModelsUnavailable(Unavailable):
    """Every candidate deployment failed; `attempts` says each one's cause.

    `details` has the providers' own words by deployment, for who asked to have things explained.
    """

    reason = Reason.MODELS_UNAVAILABLE

    def __init__(
        self, attempts: Sequence[tuple[str, str]], details: Mapping[str, str] | None = None
    ) -> None:
        tried = "; ".join(f"{deployment}: {cause}" for deployment, cause in attempts)
        super().__init__(f"no model could answer ({tried})")
        told = {DETAIL + deployment: words for deployment, words in (details or {}).items()}
        self.metadata = {ATTEMPT + deployment: cause for deployment, cause in attempts} | told
        self.attempts = tuple(attempts)


class ContextTooLong(ColonnadeError):
    """What may not be dropped from the prompt does not fit the model's window."""

    reason = Reason.CONTEXT_TOO_LONG

    def __init__(self, needed: int, allowed: int) -> None:
        super().__init__(
            f"the prompt needs {needed} tokens and the model takes {allowed}; "
            "shorten the message or choose a model with a longer context",
            needed_tokens=str(needed),
            allowed_tokens=str(allowed),
        )
        self.needed = needed
        self.allowed = allowed


class DeadlineExceeded(ColonnadeError):
    """Not done by the deadline; the turn is booked and can be looked at."""

    reason = Reason.DEADLINE_EXCEEDED


class TurnEnded(ColonnadeError):
    """The turn failed before anything was released: abandoned or interrupted. It may run again."""

    reason = Reason.TURN_INTERRUPTED


class TurnLogExpired(ColonnadeError):
    """The events before the oldest kept one were compacted away."""

    reason = Reason.TURN_LOG_EXPIRED


class TurnLogLost(ColonnadeError):
    """The client has seen events that the log does not hold."""

    reason = Reason.TURN_LOG_LOST


class Internal(ColonnadeError):
    """A bug; the caller learns the call's id and nothing else."""

    reason = Reason.INTERNAL
