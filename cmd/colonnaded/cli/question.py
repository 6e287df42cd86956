"""What a question from the command line comes with, as the client takes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from colonnade.client import ChatFields

Grounding = Literal["off", "sentence", "final"]
_GROUNDINGS: dict[str, Grounding] = {"off": "off", "sentence": "sentence", "final": "final"}


@dataclass(frozen=True, slots=True)
class Question:
    """The options of `ask` and `chat`. Without `free`, documents stand behind the answer."""

    collections: tuple[str, ...] = ()
    free: bool = False
    model: str = ""
    grounding: str | None = None
    language: str = ""
    timeout: float = 120.0

    def fields(self, conversation: str = "") -> ChatFields:
        """The fields of the request."""
        fields = ChatFields(mode="chat" if self.free else "rag")
        if self.collections and not self.free:
            fields["collections"] = self.collections
        if self.model:
            fields["model"] = self.model
        if self.grounding is not None:
            fields["grounding"] = _GROUNDINGS[self.grounding]
        if self.language:
            fields["language"] = self.language
        if conversation:
            fields["conversation"] = conversation
        return fields
