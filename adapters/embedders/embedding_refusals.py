"""What an embedding server's refusals mean, and when to come back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus

from core.errors import Unavailable
from core.generation import ModelError, ModelErrorKind
from core.resilience.retry_after import retry_advice

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


def refusal(status: int, headers: Mapping[str, str], now: datetime) -> Unavailable | ModelError:
    """The error for a status other than 200. It holds no word of the server's.

    `now` (aware) is for advice that is a date.
    """
    if status in _PASSING or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Unavailable(
            f"the embedding server is overloaded or failing (HTTP {status})",
            retry_after=retry_advice(headers, now, limits=False),
        )
    return ModelError(
        _PERMANENT.get(status, ModelErrorKind.BAD_REQUEST),
        f"the embedding server refused the request (HTTP {status})",
    )
