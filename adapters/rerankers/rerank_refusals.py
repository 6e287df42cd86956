"""What a reranking server's refusals mean, and when to come back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus

from core.generation import ModelError, ModelErrorKind
from core.identifiers import Seconds

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
_LONGEST_ADVICE = 7 * 86_400.0
"""Seconds; advice beyond a week is a mistake of the server's, and no advice."""


def refusal(status: int, headers: Mapping[str, str], now: datetime) -> ModelError:
    """The error for a status other than 200. It holds no word of the server's.

    `now` (aware) is for advice that is a date.
    """
    kind = _KINDS.get(status, ModelErrorKind.BAD_REQUEST)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR and status not in _KINDS:
        kind = ModelErrorKind.OVERLOADED
    wait = _advice(headers, now) if kind in _PASSING else None
    return ModelError(
        kind, f"the reranking server refused the request (HTTP {status})", retry_after=wait
    )


def _advice(headers: Mapping[str, str], now: datetime) -> Seconds | None:
    """`retry-after-ms`, else `Retry-After` in seconds or as a date (RFC 9110); None: no advice."""
    said = headers.get("Retry-After", "")
    milliseconds = _number(headers.get("retry-after-ms", ""), 0.001)
    waits = (milliseconds, _number(said, 1.0), _until(said, now))
    told = next((wait for wait in waits if wait is not None), None)
    return None if told is None or told > _LONGEST_ADVICE else Seconds(max(0.0, told))


def _number(text: str, unit: float) -> float | None:
    whole, point, part = text.strip().partition(".")
    understood = whole.isdecimal() and (part.isdecimal() or not point)
    return float(text) * unit if understood else None


def _until(text: str, now: datetime) -> float | None:
    try:
        when = parsedate_to_datetime(text)
    except ValueError:
        return None
    return (when if when.tzinfo else when.replace(tzinfo=now.tzinfo)).timestamp() - now.timestamp()
