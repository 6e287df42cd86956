"""How a model's answer becomes bytes that are kept, and an answer again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from core.ports.model_gateway import Completed, Said

Answer = tuple[Sequence[Said], Completed]
"""The pieces as they were streamed, and the end."""


class AnswerCodec(Protocol):
    """Pure and quick: it is called on the event loop."""

    def encode(self, answer: Answer) -> bytes:
        """The answer, and which format this is."""

    def decode(self, encoded: bytes) -> Answer | None:
        """The answer; None where the bytes are of another format, or none at all."""
