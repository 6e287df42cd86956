"""Fresh ids and clocks: the randomness and the time that the core is handed."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import cast

from core.clock import Clock
from core.identifiers import BootId, Seconds

_LEASE_CLOCK: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's base 32 (crockford.com/base32) in lower case: sorts as its numbers do."""
_ANY_DIGIT = bytes(ord(_ALPHABET[byte & 31]) for byte in range(256))
"""A digit for each byte. Each stands for eight of them, so that random bytes are random digits."""
_PAIRS = tuple(first + second for first in _ALPHABET for second in _ALPHABET)
"""Two digits for each 10 bits."""
_RANDOM_DIGITS, _AHEAD = 16, 256


_drawn: list[str] = []
"""Random digits, drawn for many ids at a time: any thread takes those of one from its end."""
os.register_at_fork(after_in_child=_drawn.clear)  # it may not give what its parent gives


def new_id(prefix: str) -> str:
    """`prefix_` and 26 characters: 48 bits of milliseconds, then 80 random ones (as in ULID)."""
    try:
        digits = _drawn.pop()
    except IndexError:
        digits = _draw()
    now = time.time_ns() // 1_000_000
    return (
        f"{prefix}_{_PAIRS[now >> 40]}{_PAIRS[now >> 30 & 1023]}{_PAIRS[now >> 20 & 1023]}"
        f"{_PAIRS[now >> 10 & 1023]}{_PAIRS[now & 1023]}{digits}"
    )


def _draw() -> str:
    size = _RANDOM_DIGITS
    digits = os.urandom(size * _AHEAD).translate(_ANY_DIGIT).decode("ascii")
    _drawn.extend([digits[at : at + size] for at in range(size, len(digits), size)])
    return digits[:size]


def new_boot_id() -> BootId:
    """This life of this process."""
    return BootId(new_id("boot"))


_utc_now: Callable[[], datetime] = partial(datetime.now, UTC)


def system_clock() -> Clock:
    """The wall clock, and the time of the event loop that runs as this is called.

    Where none does, of whichever runs when the clock is asked, which takes five times as long.
    """
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return Clock(_utc_now, lambda: Seconds(asyncio.get_running_loop().time()))
    return Clock(_utc_now, cast("Callable[[], Seconds]", loop.time))  # Seconds are its floats


boottime = cast("Callable[[], Seconds]", partial(time.clock_gettime, _LEASE_CLOCK))
"""A clock that nobody sets, and that counts the time in which the machine was suspended.

Leases run on it. Where the system has none that counts suspension, one that does not.
"""
