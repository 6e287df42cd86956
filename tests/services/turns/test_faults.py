"""The faults that the turn protocol must survive, and whether each has its tests.

A test of fault 7 is called `test_fault_07_...`, and runs on every store.
"""

from __future__ import annotations

import re
from pathlib import Path

FAULTS = {
    1: "the owner is killed between commit and send, and between send and next commit",
    2: "the owner is paused past its lease after its attempt has begun",
    3: "a delta waits to be appended while the turn ends and runs again",
    4: "the reply of claim, append, begin or settle is lost",
    5: "an attempt fails after `started`, and the turn runs again",
    6: "the owner dies with nothing released; a resume settles it; the id runs again",
    7: "the first of fifty equal calls is refused",
    8: "both ways to ask with one id; an id whose turn outlasts the ids",
    9: "a tool ran, or was about to",
    10: "cancelled with nothing released, then sent again",
    11: "cancelled and finished; with notices lost; with the owner dead",
    12: "another turn runs on the parent of one that failed",
    13: "the only reader is elsewhere, and all notices are lost",
    14: "a reader registers elsewhere while the owner abandons",
    15: "the store is away or full under a hundred streams",
    16: "clocks are eight seconds off",
    17: "the owner is killed, and nobody resumes",
    18: "a provider hangs for ever under a healthy renewal",
    19: "a settlement commits between a reader's two reads",
    20: "readers of a stale runner, and of a log that is compacted",
    21: "killed while the fallback of a failed provider runs",
    22: "one stale turn in a group commit",
}


def test_every_fault_has_a_test() -> None:
    here = Path(__file__).parent
    named = [
        int(number)
        for file in here.glob("test_fault_*.py")
        for number in re.findall(r"^async def test_fault_(\d\d)_", file.read_text(), re.MULTILINE)
    ]
    assert sorted(set(named)) == sorted(FAULTS)
