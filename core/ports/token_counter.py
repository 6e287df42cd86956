"""How long a text is for a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from core.messages import Message


class TokenCounter(Protocol):
    """Counts as the model would that a request got."""

    async def count(self, messages: Sequence[Message], model: str) -> int:
        """An upper bound of the tokens of these messages; "" is the default model's.

        Raises NotFound for a model that names nothing, FeatureUnsupported where none counts, and
        Unavailable where the one who counts is away.
        """
