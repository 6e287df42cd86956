"""Fresh ids and clocks: the randomness and the time that the core is handed."""

from __future__ import annotations

import asyncio
import os
import time
from datetime import UTC, datetime

from core.clock import Clock
from core.identifiers import BootId, Seconds

_LEASE_CLOCK: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's base 32 (crockford.com/base32) in lower case: sorts as its numbers do."""


def new_id(prefix: str) -> str:
    """`prefix_` and 26 characters: 48 bits of milliseconds, then 80 random ones (as in ULID)."""
    value = (time.time_ns() // 1_000_000 << 80) | int.from_bytes(os.urandom(10))
    digits = [_ALPHABET[value >> shift & 31] for shift in range(125, -1, -5)]
    return f"{prefix}_{''.join(digits)}"


def new_boot_id() -> BootId:
    """This life of this process."""
    return BootId(new_id("boot"))


def system_clock() -> Clock:
    """The wall clock, and the running event loop's own time."""
    return Clock(
        now=lambda: datetime.now(UTC),
        monotonic=lambda: Seconds(asyncio.get_running_loop().time()),
    )


def boottime() -> Seconds:
    """A clock that nobody sets, and that counts the time in which the machine was suspended.

    Leases run on it. Where the system has none that counts suspension, one that does not.
    """
    return Seconds(time.clock_gettime(_LEASE_CLOCK))
