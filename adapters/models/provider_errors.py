"""What providers say when they refuse or break off, as the kinds that routing knows."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus

import aiohttp

from core.generation import ModelError, ModelErrorKind
from core.resilience.retry_after import advice_within, retry_advice

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)  # inside a stream, advice is a wait and no date

_TOO_LONG = re.compile(
    r"context_length_exceeded|exceed_context_size|string_above_max_length"
    r"|(maximum|max|available) context (length|size|window)|context window|exceed context limit"
    r"|(prompt|input) (is )?too long|too many (input )?tokens|input token count"
    r"|exceeds the maximum number of tokens|reduce the length of the messages"
    r"|`inputs` tokens \+ `max_new_tokens`|model_context_window_exceeded",
    re.IGNORECASE,
)
_FILTERED = re.compile(
    r"content_filter|content_policy|responsibleaipolicyviolation|content management policy"
    r"|data_inspection_failed|moderation|usage polic(y|ies)|content filtering policy"
    r"|prohibited_content",
    re.IGNORECASE,
)
_CREDENTIALS = re.compile(r"api.?key|authenticat|unauthorized|permission", re.IGNORECASE)
_BILLING = re.compile(r"credit balance|billing_error|insufficient balance", re.IGNORECASE)
_BUSY = re.compile(r"rate.?limit|too many requests|quota|resource_exhausted", re.IGNORECASE)
_OVERLOADED = re.compile(
    r"overloaded|server_error|unavailable|engine is currently|api_error|internal error"
    r"|at capacity|try again later",
    re.IGNORECASE,
)
_LATE = re.compile(r"timeout|timed out|deadline.exceeded", re.IGNORECASE)

_PATTERNS = [
    (_BILLING, ModelErrorKind.AUTHENTICATION),
    (_CREDENTIALS, ModelErrorKind.AUTHENTICATION),
    (_TOO_LONG, ModelErrorKind.CONTEXT_TOO_LONG),
    (_FILTERED, ModelErrorKind.CONTENT_FILTERED),
    (_BUSY, ModelErrorKind.RATE_LIMITED),
]
"""What the words mean where the status does not say it; the first that matches."""
_STREAM_PATTERNS = [
    *_PATTERNS,
    (_OVERLOADED, ModelErrorKind.OVERLOADED),
    (_LATE, ModelErrorKind.TIMEOUT),
]
"""The same where there is no status at all."""

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

_PASSING = frozenset(
    {ModelErrorKind.RATE_LIMITED, ModelErrorKind.OVERLOADED, ModelErrorKind.TIMEOUT}
)
"""Kinds that pass with time: after the others, advice when to come back is none."""


@dataclass(frozen=True, slots=True)
class _Said:
    """The server's own words: a message for people, names for programs."""

    message: str = ""
    names: str = ""


def http_error(status: int, headers: Mapping[str, str], body: bytes, now: datetime) -> ModelError:
    """The error for a response with another status than 200, with its advice when to come back.

    `now` is for advice that is a date.
    """
    try:
        said: object = json.loads(body)
    except (ValueError, RecursionError):
        said = None
    error = read_error(status, said, now=now)
    if error.kind not in _PASSING:
        return error
    advice = retry_advice(headers, now, limits=False)
    if advice is None:
        advice = error.retry_after
    if advice is None and error.kind is ModelErrorKind.RATE_LIMITED:
        advice = retry_advice(headers, now)
    return ModelError(error.kind, error.message, retry_after=advice)


def read_error(status: int | None, said: object, *, now: datetime | None = None) -> ModelError:
    """The error for what a server said, as JSON; `status` is None inside a stream.

    The server's message stands in it, on one line, except where it is about credentials: some
    quote the key. Whoever shows it hides his own secrets in it first, and shortens it then.
    """
    words = _words(said)
    status = status or _status_within(said)
    about = f"{words.names} {words.message}"
    kind = _kind(status, about)
    parts = [f"the provider refused (HTTP {status})" if status else "the provider broke off"]
    told = kind is not ModelErrorKind.AUTHENTICATION or _BILLING.search(about)
    if told and words.message:
        parts.append(" ".join(words.message.split()))
    advice = advice_within(said, now or _EPOCH) if kind in _PASSING else None
    return ModelError(kind, ": ".join(parts), retry_after=advice)


def connection_error(error: aiohttp.ClientError) -> ModelError:
    """The error for a connection that could not be made, or broke.

    It tells what to look at (address, certificate, network), never the library's own words:
    those hold addresses and headers.
    """
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        cause = "its host name is not known"
    elif isinstance(error, aiohttp.ClientConnectorCertificateError):
        refused = error.certificate_error
        verdict = getattr(refused, "verify_message", "") or type(refused).__name__
        cause = f"its certificate is not trusted ({verdict})"
    elif isinstance(error, aiohttp.ClientSSLError):
        cause = "TLS could not be agreed on"
    elif isinstance(error, aiohttp.ClientProxyConnectionError):
        cause = "the proxy cannot be reached"
    elif isinstance(error, aiohttp.InvalidURL):
        cause = "its address is no URL"
    else:
        number = error.errno if isinstance(error, OSError) else None
        cause = os.strerror(number) if number and number > 0 else type(error).__name__
    return ModelError(
        ModelErrorKind.CONNECTION, f"the connection to the provider failed or was cut: {cause}"
    )


def _kind(status: int | None, words: str) -> ModelErrorKind:
    if status == HTTPStatus.FORBIDDEN and _FILTERED.search(words):
        return ModelErrorKind.CONTENT_FILTERED
    if status in _KINDS:
        return _KINDS[status]
    if status is not None and status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return ModelErrorKind.OVERLOADED
    patterns = _STREAM_PATTERNS if status is None else _PATTERNS
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
    names = [*_strings(said, ("type", "code", "status"))]
    behind = said.get("metadata", said.get("innererror"))
    if isinstance(behind, dict):  # OpenRouter's provider behind it, Azure's finer code
        names += _strings(behind, ("code", "error_type"))
        message = ": ".join(filter(None, [message, *_strings(behind, ("raw",))]))
    return _Said(message, " ".join(names))


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
