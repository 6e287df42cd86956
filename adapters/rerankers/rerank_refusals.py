"""What a reranking server's refusals mean, and when to come back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus

from core.generation import ModelError, ModelErrorKind
from core.resilience.retry_after import retry_advice

_KINDS: dict[int, ModelErrorKind] = {
    HTTPStatus.UNAUTHORIZED: ModelErrorKind.AUTHENTICATION,
    HTTPStatus.PAYMENT_REQUIRED: ModelErrorKind.AUTHENTICATION,
    HTTPStatus.FORBIDDEN: ModelErrorKind.AUTHENTICATION,
    HTTPStatus.NOT_FOUND: ModelErrorKind.UNSUPPORTED,
    HTTPStatus.REQUEST_TIMEOUT: ModelErrorKind.TIMEOUT,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: ModelErrorKind.CONTEXT_TOO_LONG,
    HTTPStatus.TOO_MANY_REQUESTS: ModelErrorKind.RATE_LIMITED,
    HTTPStatus.GATEWAY_TIMEOUT: ModelErrorKind.TIMEOUT,
}
_PASSING = frozenset(
    {ModelErrorKind.RATE_LIMITED, ModelErrorKind.OVERLOADED, ModelErrorKind.TIMEOUT}
)


def refusal(status: int, headers: Mapping[str, str], now: datetime) -> ModelError:
    """The error for a status other than 200. It holds no word of the server's.

    `now` (aware) is for advice that is a date.
    """
    kind = _KINDS.get(status, ModelErrorKind.BAD_REQUEST)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR and status not in _KINDS:
        kind = ModelErrorKind.OVERLOADED
    wait = retry_advice(headers, now, limits=False) if kind in _PASSING else None
    return ModelError(
        kind, f"the reranking server refused the request (HTTP {status})", retry_after=wait
    )
