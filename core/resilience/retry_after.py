"""When a provider says to come back: the ways that are in use to say it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from core.identifiers import Seconds

LONGEST_ADVICE = 7 * 86_400.0
"""Seconds. Advice beyond a week is a mistake of the provider's, and no advice."""

_DURATION = re.compile(
    r"(?:(?P<h>\d+(?:\.\d+)?)h)?(?:(?P<m>\d+(?:\.\d+)?)m(?!s))?"
    r"(?:(?P<s>\d+(?:\.\d+)?)s)?(?:(?P<ms>\d+(?:\.\d+)?)ms)?"
)
_RESET = re.compile(r"(x-|[a-z]+-)?ratelimit(-[a-z-]+)?-reset(-[a-z-]+)?")
_SENTENCE = re.compile(
    r"\b(?:in|after|wait)\s+(?:(?P<n>\d+(?:\.\d+)?)\s*(?P<unit>milliseconds?|seconds?|minutes?|hours?)\b"
    r"|(?P<span>(?:\d+(?:\.\d+)?(?:ms|[hms]))+)\b)",
    re.IGNORECASE,
)
_WORDS = {"mil": 0.001, "min": 60.0, "sec": 1.0, "hou": 3600.0}
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_EARLIEST_EPOCH = 1_000_000_000.0  # numbers from here on are points in time, not waits


def retry_advice(
    headers: Mapping[str, str], now: datetime, *, limits: bool = True
) -> Seconds | None:
    """How long the provider wants us to wait, None where it does not say so understandably.

    In this order: `retry-after-ms`; `Retry-After` in seconds or as a date (RFC 9110, 10.2.3);
    with `limits`, of the headers that say when a rate limit is reset the longest of those limits
    that are used up, where the matching header of what remains says so, else the longest of all.
    Providers send the latter with every response, so they are no advice after another error.
    """
    lower = {name.lower(): value.strip() for name, value in headers.items()}
    return _first(
        _number(lower.get("retry-after-ms", lower.get("x-ms-retry-after-ms", "")), 0.001),
        _seconds_or_date(lower.get("retry-after", ""), now),
        _limits_reset(lower, now) if limits else None,
    )


def advice_within(said: object, now: datetime) -> Seconds | None:
    """The same out of the body of a refusal, or of an error in a stream.

    Google's RetryInfo; members such as `retry_after`; headers of a provider behind a provider;
    and, since some say it nowhere else, the sentence "try again in 6m0s" in the message.
    """
    return _first(*(wait for value in _parts_of(said, 6) for wait in _advice_in(value, now)))


def _first(*waits: float | None) -> Seconds | None:
    for wait in waits:
        if wait is not None and wait <= LONGEST_ADVICE:
            return Seconds(max(0.0, wait))
    return None


def _parts_of(said: object, levels: int) -> Iterator[Mapping[str, object]]:
    """The objects in a JSON value, outer ones first."""
    if isinstance(said, dict):
        yield said
    inner = said.values() if isinstance(said, dict) else said if isinstance(said, list) else ()
    if levels:
        for value in inner:
            yield from _parts_of(value, levels - 1)


def _advice_in(said: Mapping[str, object], now: datetime) -> Iterator[float | None]:
    yield _plain(said.get("retry_after_ms"), 0.001)
    for name in ("retry_after", "retryAfter", "retry_after_seconds", "retryDelay"):
        yield _plain(said.get(name), 1.0)
    headers = said.get("headers")
    if isinstance(headers, dict):
        yield retry_advice({str(name): str(value) for name, value in headers.items()}, now)
    message = said.get("message")
    if isinstance(message, str) and (found := _SENTENCE.search(message)):
        yield float(found["n"]) * _WORDS[found["unit"][:3].lower()] if found["unit"] else None
        yield _duration(found["span"])


def _plain(value: object, unit: float) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return value * unit if value >= 0 else None
    if isinstance(value, str):
        number = _number(value, unit)
        return _duration(value) if number is None else number
    return None


def _number(text: str, unit: float) -> float | None:
    return float(text) * unit if re.fullmatch(r"\d+(\.\d+)?", text) else None


def _seconds_or_date(text: str, now: datetime) -> float | None:
    seconds = _number(text, 1.0)
    if seconds is not None:
        return seconds
    try:
        when = parsedate_to_datetime(text)
    except ValueError:
        return None
    aware = when if when.tzinfo else when.replace(tzinfo=UTC)
    return (aware - now).total_seconds()


def _limits_reset(headers: Mapping[str, str], now: datetime) -> float | None:
    waits = {
        name: wait
        for name, value in headers.items()
        if _RESET.fullmatch(name) and (wait := _reset(value, now)) is not None
    }
    used_up = [w for name, w in waits.items() if headers.get(_remaining(name)) == "0"]
    return max(used_up or waits.values(), default=None)


def _remaining(name: str) -> str:
    """The header of what remains of the limit whose reset is told by this one."""
    return name.replace("reset", "remaining")


def _reset(text: str, now: datetime) -> float | None:
    """A wait ("20", "1.5", "6m0s", "250ms") or a point in time (epoch in seconds or ms, ISO)."""
    number = _number(text, 1.0)
    if number is not None:
        if number < _EARLIEST_EPOCH:
            return number
        epoch = number / 1000 if number > 1000 * _EARLIEST_EPOCH else number
        return epoch - now.timestamp()
    duration = _duration(text)
    if duration is not None:
        return duration
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() - now.timestamp()


def _duration(text: str | None) -> float | None:
    """Seconds in "20s", "1.5s", "6m0s", "250ms"."""
    match = _DURATION.fullmatch(text) if text else None
    if match is None:
        return None
    return sum(float(match[unit]) * _UNITS[unit] for unit in _UNITS if match[unit])
