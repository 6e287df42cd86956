"""What a server of Chat Completions says when it refuses, as the kinds that routing knows."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus

from adapters.models.retry_after import retry_advice
from core.generation import ModelError, ModelErrorKind
from core.identifiers import Seconds

_TOO_LONG = re.compile(
    r"context_length_exceeded|exceed_context_size|string_above_max_length"
    r"|(maximum|max|available) context (length|size|window)|context window"
    r"|(prompt|input) is too long|too many (input )?tokens",
    re.IGNORECASE,
)
_FILTERED = re.compile(
    r"content_filter|content_policy|responsibleaipolicyviolation|content management policy"
    r"|data_inspection_failed|moderation",
    re.IGNORECASE,
)
_CREDENTIALS = re.compile(r"api.?key|authenticat|unauthorized|permission", re.IGNORECASE)
_BUSY = re.compile(r"rate_?limit|too many requests|quota", re.IGNORECASE)
_OVERLOADED = re.compile(r"overloaded|server_error|unavailable|engine is currently", re.IGNORECASE)

_KINDS: dict[int, ModelErrorKind] = {
    HTTPStatus.UNAUTHORIZED: ModelErrorKind.AUTHENTICATION,
    HTTPStatus.PAYMENT_REQUIRED: ModelErrorKind.AUTHENTICATION,
    HTTPStatus.FORBIDDEN: ModelErrorKind.AUTHENTICATION,
    HTTPStatus.REQUEST_TIMEOUT: ModelErrorKind.TIMEOUT,
    HTTPStatus.CONFLICT: ModelErrorKind.OVERLOADED,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: ModelErrorKind.CONTEXT_TOO_LONG,
    HTTPStatus.TOO_MANY_REQUESTS: ModelErrorKind.RATE_LIMITED,
    HTTPStatus.NOT_IMPLEMENTED: ModelErrorKind.UNSUPPORTED,
    HTTPStatus.GATEWAY_TIMEOUT: ModelErrorKind.TIMEOUT,
}


@dataclass(frozen=True, slots=True)
class _Said:
    """The server's own words: a message for people, names for programs."""

    message: str = ""
    names: str = ""


def http_error(status: int, headers: Mapping[str, str], body: bytes, now: datetime) -> ModelError:
    """The error for a response that is no stream. `now` is for advice that is a date."""
    try:
        said: object = json.loads(body)
    except (ValueError, RecursionError):
        said = None
    if status == HTTPStatus.OK:
        if isinstance(said, dict) and said.get("error"):
            return read_error(None, said)
        return ModelError(
            ModelErrorKind.MALFORMED_STREAM, "the provider answered without a stream of events"
        )
    return read_error(status, said, retry_after=retry_advice(headers, now))


def read_error(
    status: int | None, said: object, *, retry_after: Seconds | None = None
) -> ModelError:
    """The error for what a server said, as JSON; `status` is None inside a stream.

    The server's message stands in it, on one line, except where it is about credentials: some
    quote the key. Whoever shows it hides his own secrets in it first, and shortens it then.
    """
    words = _words(said)
    status = status or _status_within(said)
    kind = _kind(status, f"{words.names} {words.message}")
    parts = [f"the provider refused (HTTP {status})" if status else "the provider broke off"]
    if kind is not ModelErrorKind.AUTHENTICATION and words.message:
        parts.append(" ".join(words.message.split()))
    return ModelError(kind, ": ".join(parts), retry_after=retry_after)


def _kind(status: int | None, words: str) -> ModelErrorKind:
    if status == HTTPStatus.FORBIDDEN and _FILTERED.search(words):
        return ModelErrorKind.CONTENT_FILTERED
    if status in _KINDS:
        return _KINDS[status]
    if status is not None and status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return ModelErrorKind.OVERLOADED
    patterns = [
        (_CREDENTIALS, ModelErrorKind.AUTHENTICATION),
        (_TOO_LONG, ModelErrorKind.CONTEXT_TOO_LONG),
        (_FILTERED, ModelErrorKind.CONTENT_FILTERED),
        (_BUSY, ModelErrorKind.RATE_LIMITED),
        (_OVERLOADED, ModelErrorKind.OVERLOADED),
    ]
    matching = (kind for pattern, kind in patterns if pattern.search(words))
    return next(matching, ModelErrorKind.BAD_REQUEST)


def _words(said: object) -> _Said:
    """The message and the names (type, code, status) wherever this server puts them."""
    if isinstance(said, list):
        return _words(said[0]) if said else _Said()
    if isinstance(said, str):
        return _Said(said)
    if not isinstance(said, dict):
        return _Said()
    inner = said.get("error")
    if isinstance(inner, (dict, str)):
        return _words(inner)
    message = next(_strings(said, ("message", "detail", "error_msg")), "")
    return _Said(message, " ".join(_strings(said, ("type", "code", "status"))))


def _strings(said: Mapping[str, object], keys: Iterable[str]) -> Iterator[str]:
    return (value for key in keys if isinstance(value := said.get(key), str))


def _status_within(said: object) -> int | None:
    """An HTTP status that stands as `code` in the error object of a stream."""
    if not isinstance(said, dict):
        return None
    inner = said.get("error")
    if isinstance(inner, dict):
        return _status_within(inner)
    code = said.get("code")
    if isinstance(code, str) and code.isdecimal():
        code = int(code)
    is_status = isinstance(code, int) and 400 <= code < 600
    return int(code) if is_status and isinstance(code, int) else None
