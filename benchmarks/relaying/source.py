"""What every server under measure streams: the same chunks, by the same clock."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncGenerator, Iterator

KEY = "ck_" + "5eed" * 16
"""The key of the benchmark's one caller, which opens nothing but our server under measure."""
CHUNKS = 64
PACE_S = 0.010
PACED, AT_ONCE, SLOW = "paced", "at once", "slow"
"""What a question says about how it wants its answer; a slow one takes a chunk every second."""

_WORDS = tuple(f" word{number:05}" for number in range(CHUNKS))
_STAMP = re.compile(rb" @([0-9a-f]{8})")
_MODULUS = 1 << 32


async def chunks(question: str) -> AsyncGenerator[str, None]:
    """The chunks of one answer: 64, at once or each 10 ms after the one before.

    A paced chunk says when it was due, in microseconds of the machine's monotonic clock: also
    where the server came to it later. It is as long as one that was not paced.
    """
    if AT_ONCE in question:
        for word in _WORDS:
            yield word
        return
    pace = 1.0 if SLOW in question else PACE_S
    loop = asyncio.get_running_loop()
    due = loop.time()
    for _ in range(CHUNKS):
        yield f" @{int(due * 1e6) % _MODULUS:08x}"
        due += pace
        await asyncio.sleep(due - loop.time())


def ages_ms(message: bytes) -> Iterator[float]:
    """How old each stamped chunk in a message is, in milliseconds."""
    now = _now_us()
    for stamp in _STAMP.findall(message):
        yield ((now - int(stamp, 16)) % _MODULUS) / 1000


def _now_us() -> int:
    return time.monotonic_ns() // 1000 % _MODULUS
