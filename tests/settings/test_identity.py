"""Fresh ids: unlike each other whoever makes them, and in the order of their making."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time
from collections import Counter

from colonnaded.identity import new_id

FORM = re.compile(r"turn_[0-9a-hjkmnp-tv-z]{26}")
DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"


def _made_at(id: str) -> int:
    """The milliseconds since 1970 in an id."""
    value = 0
    for digit in id.partition("_")[2][:10]:
        value = value * 32 + DIGITS.index(digit)
    return value


def test_an_id_tells_when_it_was_made() -> None:
    before = time.time_ns() // 1_000_000
    id = new_id("turn")
    assert FORM.fullmatch(id)
    assert before <= _made_at(id) <= time.time_ns() // 1_000_000


def test_ids_of_all_threads_differ() -> None:
    made: list[list[str]] = []

    def make() -> None:
        made.append([new_id("turn") for _ in range(2_000)])

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ids = {id.partition("_")[2][10:] for each in made for id in each}
    assert len(ids) == 8_000


def test_every_digit_is_as_likely_as_any_other() -> None:
    seen = Counter("".join(new_id("x")[12:] for _ in range(8_000)))
    assert set(seen) == set(DIGITS)
    assert 3_600 < min(seen.values()) <= max(seen.values()) < 4_400  # 4,000 are expected of each


def test_a_forked_process_makes_ids_of_its_own() -> None:
    ran = subprocess.run([sys.executable, "-c", _FORKS], capture_output=True, check=True, text=True)
    assert len(set(ran.stdout.split())) == 3


_FORKS = """
import os
from colonnaded.identity import new_id

print(new_id("a")[-16:], flush=True)  # others are drawn with it
if child := os.fork():
    os.waitpid(child, 0)
print(new_id("a")[-16:])
"""
