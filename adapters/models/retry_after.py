"""When a provider says to come back: the ways that are in use to say it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from core.identifiers import Seconds

LONGEST_ADVICE = 7 * 86_400.0
"""Seconds. Advice beyond a week is a mistake of the provider's, and no advice."""

_DURATION = re.compile(
    r"(?:(?P<h>\d+(?:\.\d+)?)h)?(?:(?P<m>\d+(?:\.\d+)?)m(?!s))?"
    r"(?:(?P<s>\d+(?:\.\d+)?)s)?(?:(?P<ms>\d+(?:\.\d+)?)ms)?"
)
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_EARLIEST_EPOCH = 1_000_000_000.0  # numbers from here on are points in time, not waits


def retry_advice(headers: Mapping[str, str], now: datetime) -> Seconds | None:
    """How long the provider wants us to wait, None where it does not say so understandably.

    In this order: `retry-after-ms`; `Retry-After` in seconds or as a date (RFC 9110, 10.2.3);
    of the `x-ratelimit-reset` headers the longest of those limits that are used up, where the
    matching `x-ratelimit-remaining` says so, else the longest of all.
    """
    lower = {name.lower(): value.strip() for name, value in headers.items()}
    for wait in (
        _number(lower.get("retry-after-ms", ""), 0.001),
        _seconds_or_date(lower.get("retry-after", ""), now),
        _limits_reset(lower, now),
    ):
        if wait is not None and wait <= LONGEST_ADVICE:
            return Seconds(max(0.0, wait))
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
    prefix = "x-ratelimit-reset"
    waits = {
        name.removeprefix(prefix): wait
        for name, value in headers.items()
        if name.startswith(prefix) and (wait := _reset(value, now)) is not None
    }
    used_up = [w for kind, w in waits.items() if headers.get("x-ratelimit-remaining" + kind) == "0"]
    return max(used_up or waits.values(), default=None)


def _reset(text: str, now: datetime) -> float | None:
    """A wait ("20", "1.5", "6m0s", "250ms") or a point in time (epoch in seconds or ms, ISO)."""
    number = _number(text, 1.0)
    if number is not None:
        if number < _EARLIEST_EPOCH:
            return number
        epoch = number / 1000 if number > 1000 * _EARLIEST_EPOCH else number
        return epoch - now.timestamp()
    match = _DURATION.fullmatch(text)
    if match and text:
        return sum(float(match[unit]) * _UNITS[unit] for unit in _UNITS if match[unit])
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() - now.timestamp()
