"""What an embedding server's refusals mean, and when to come back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus

from core.errors import Unavailable
from core.generation import ModelError, ModelErrorKind
from core.identifiers import Seconds

_PASSING: set[int] = {
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.TOO_EARLY,
    HTTPStatus.TOO_MANY_REQUESTS,
}
_PERMANENT: dict[int, ModelErrorKind] = {
    HTTPStatus.UNAUTHORIZED: ModelErrorKind.AUTHENTICATION,
    HTTPStatus.PAYMENT_REQUIRED: ModelErrorKind.AUTHENTICATION,
    HTTPStatus.FORBIDDEN: ModelErrorKind.AUTHENTICATION,
    HTTPStatus.NOT_FOUND: ModelErrorKind.UNSUPPORTED,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: ModelErrorKind.CONTEXT_TOO_LONG,
}
_LONGEST_ADVICE = 7 * 86_400.0
"""Seconds; advice beyond a week is a mistake of the server's, and no advice."""


def refusal(status: int, headers: Mapping[str, str], now: datetime) -> Unavailable | ModelError:
    """The error for a status other than 200. It holds no word of the server's."""
    if status in _PASSING or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Unavailable(
            f"the embedding server is overloaded or failing (HTTP {status})",
            retry_after=advice(headers, now),
        )
    return ModelError(
        _PERMANENT.get(status, ModelErrorKind.BAD_REQUEST),
        f"the embedding server refused the request (HTTP {status})",
    )


def advice(headers: Mapping[str, str], now: datetime) -> Seconds | None:
    """When to come back: `retry-after-ms`, else `Retry-After` in seconds or as a date (RFC 9110).

    None where the server does not say so understandably. `now` is aware.
    """
    waits = (
        _number(headers.get("retry-after-ms", ""), 0.001),
        _number(headers.get("Retry-After", ""), 1.0),
        _until(headers.get("Retry-After", ""), now),
    )
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
