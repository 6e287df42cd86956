"""Counts of tokens with what they rest on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol, runtime_checkable

from core.messages import Message


class TokenCounting(Enum):
    """How tokens are counted before a call."""

    EXACT = "exact"  # by the model itself, its template included
    TOKENIZER = "tokenizer"  # by its tokenizer; what the template adds is bounded
    BYTES = "bytes"  # every token stands for a byte at least


@dataclass(frozen=True, slots=True)
class TokenBounds:
    """The true count lies between these two, both included."""

    least: int
    most: int
    counting: TokenCounting


@runtime_checkable
class BoundingModel(Protocol):
    """A language model that says how far its count may be from the truth."""

    async def count_bounds(self, messages: Sequence[Message]) -> TokenBounds:
        """The bounds of what these messages take; `most` is what `count_tokens` gives."""
