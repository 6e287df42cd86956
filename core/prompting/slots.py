"""Slots in a template's text, filled in one pass."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

CONTEXT_SLOT = "retrieved_context"
USER_SLOT = "user_input"
FORMAT_SLOT = "format"
BUILT_IN_SLOTS = frozenset({"domain", "task", CONTEXT_SLOT, USER_SLOT, FORMAT_SLOT})
"""Slots that every template may use without declaring an input."""

_TEXTS = 1024
"""How many texts of templates are remembered; there are four or so in each template."""

_SLOT = re.compile(r"\{\{([a-z][a-z0-9_]{0,39})\}\}|\{([a-z][a-z0-9_]{0,39})\}")
_CONTEXT_LINE = re.compile(rf"(?m)^[ \t]*\{{{CONTEXT_SLOT}\}}[ \t]*$")


@lru_cache(maxsize=_TEXTS)
def slots_in(text: str) -> tuple[str, ...]:
    """The slots of a text, with repeats. `{{name}}` is not one: it reads `{name}`."""
    return tuple(match.group(2) for match in _SLOT.finditer(text) if match.group(2))


def fill(text: str, values: Mapping[str, str]) -> str:
    """`text` with its slots replaced, a missing value by nothing.

    One pass: a value that looks like a slot is text like any other.
    """
    return "".join(
        [values.get(piece, "") if is_slot else piece for is_slot, piece in _pieces(text)]
    )


@lru_cache(maxsize=_TEXTS)
def _pieces(text: str) -> tuple[tuple[bool, str], ...]:
    """What a text is put together from: pieces as they are, and names of slots (True)."""
    pieces: list[tuple[bool, str]] = []
    done = 0
    for match in _SLOT.finditer(text):
        slot = match.group(2)
        pieces.append((False, text[done : match.start()]))
        pieces.append((True, slot) if slot else (False, f"{{{match.group(1)}}}"))
        done = match.end()
    return (*pieces, (False, text[done:]))


@lru_cache(maxsize=_TEXTS)
def split_at_context(text: str) -> tuple[str, str] | None:
    """What stands before and after the line of the retrieved context; None without such a line."""
    match = _CONTEXT_LINE.search(text)
    return (text[: match.start()], text[match.end() :]) if match else None
