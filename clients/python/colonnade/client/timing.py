"""Time as the clients see it, handed in so that tests need not wait; and how long calls may take.

All times are in seconds.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

CHAT_TIMEOUT = 120.0
CALL_TIMEOUT = 30.0
INGEST_TIMEOUT = 600.0
"""For one batch of documents, and for building an index anew: both embed many passages."""
LEAVE_TIMEOUT = 2.0
"""How long a caller who leaves a stream early may be held up by cancelling its turn."""


@dataclass(frozen=True, slots=True)
class Timing:
    """The blocking client's clock (monotonic), its sleep, and its draws from [0, 1)."""

    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    draw: Callable[[], float] = random.random


@dataclass(frozen=True, slots=True)
class AsyncTiming:
    """The asyncio client's clock (monotonic), its sleep, and its draws from [0, 1)."""

    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    draw: Callable[[], float] = random.random
