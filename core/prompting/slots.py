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
    return _pattern(text) % _Values(values)


class _Values(dict[str, str]):
    """What fills the slots."""

    def __missing__(self, slot: str) -> str:
        return ""


@lru_cache(maxsize=_TEXTS)
def _pattern(text: str) -> str:
    """A text as the operator `%` fills it."""
    return _SLOT.sub(_conversion, text.replace("%", "%%"))


def _conversion(slot: re.Match[str]) -> str:
    return f"%({slot.group(2)})s" if slot.group(2) else f"{{{slot.group(1)}}}"


@lru_cache(maxsize=_TEXTS)
def split_at_context(text: str) -> tuple[str, str] | None:
    """What stands before and after the line of the retrieved context; None without such a line."""
    match = _CONTEXT_LINE.search(text)
    return (text[: match.start()], text[match.end() :]) if match else None
