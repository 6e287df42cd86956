"""Which trace of its caller's a call belongs to (W3C Trace Context, level 1)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_PARENT = re.compile(
    r"(?!ff)(?P<version>[0-9a-f]{2})-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
    r"(?P<more>-[\x21-\x7e]*)?"
)
_STATE = re.compile(r"[\x20-\x7e]{1,512}")
_LONGEST_PARENT = 256


@dataclass(frozen=True, slots=True)
class TraceContext:
    """What is handed on unchanged: this program adds no span of its own.

    `parent` is the caller's span, and so that of whoever is called on its behalf; `state` is the
    tracing systems' own, "" where there is none.
    """

    parent: str
    state: str = ""


def trace_context(parents: Sequence[str], states: Sequence[str]) -> TraceContext | None:
    """The trace that a caller names; None where it names none, or not as the standard has it.

    A state that is not as the standard has it is left out; one in several pieces is put together.
    """
    if len(parents) != 1 or len(parents[0]) > _LONGEST_PARENT:
        return None
    found = _PARENT.fullmatch(parents[0])
    if found is None or (found["version"] == "00" and found["more"]):
        return None
    state = ",".join(stripped for piece in states if (stripped := piece.strip(" \t")))
    return TraceContext(parents[0], state if _STATE.fullmatch(state) else "")
