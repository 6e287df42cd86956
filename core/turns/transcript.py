"""A turn as its log tells it: what a client that read everything would hold."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from core.grounding.citations import Citation
from core.grounding.verdict import Verdict
from core.knowledge import Passage
from core.turns.events import (
    AttemptUsed,
    Cited,
    Finished,
    Reasoning,
    Retracted,
    Retrieved,
    Started,
    Switched,
    Text,
    TurnEvent,
    Validated,
)

_LOOSE = 16
"""Pieces of text that are kept as they came; more become one, which takes a seventh of the room."""


@dataclass(slots=True)
class Transcript:
    """Folds events in order. A later run's `started` voids what was before it."""

    started: Started | None = None
    passages: tuple[Passage, ...] = ()
    citations: list[Citation] = field(default_factory=list)
    switches: list[Switched] = field(default_factory=list)
    used: list[AttemptUsed] = field(default_factory=list)
    verdict: Verdict | None = None
    finished: Finished | None = None
    _text: list[str] = field(default_factory=list)
    _reasoning: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, events: Iterable[TurnEvent]) -> Transcript:
        """The transcript of a whole log."""
        transcript = cls()
        for event in events:
            transcript.add(event)
        return transcript

    @property
    def text(self) -> str:
        """The answer so far."""
        return "".join(self._text)

    @property
    def reasoning(self) -> str:
        """The model's thoughts so far."""
        return "".join(self._reasoning)

    @property
    def text_bytes(self) -> int:
        """The answer's length in UTF-8: what an attempt without usage is booked by."""
        return sum(len(piece.encode()) for piece in (*self._text, *self._reasoning))

    @property
    def model(self) -> str:
        """The deployment that wrote the answer, or was the last to try; "" if none was yet."""
        if self.finished is not None and self.finished.model:
            return self.finished.model
        if self.used:
            return self.used[-1].deployment
        return self.switches[-1].next if self.switches else ""

    def add(self, event: TurnEvent) -> None:
        """Take one more event."""
        if type(event) is Text:
            self._say(event.text)
            return
        match event:
            case Started() | Retracted():
                self._begin(event)
            case Reasoning(text):
                self._reasoning.append(text)
            case Cited(citation):
                self.citations.append(citation)
            case Retrieved(passages):
                self.passages = passages
            case Switched():
                self.switches.append(event)
            case AttemptUsed():
                self.used.append(event)
            case Validated(verdict):
                self.verdict = verdict
            case Finished():
                self.finished = event

    def _say(self, text: str) -> None:
        self._text.append(text)
        if len(self._text) > _LOOSE:
            self._text[:] = ("".join(self._text),)

    def _begin(self, anew: Started | Retracted) -> None:
        """A run begins, or its answer does: what was said before is void."""
        if isinstance(anew, Started):
            self.started, self.passages, self.verdict = anew, (), None
        for voided in (self.citations, self._text, self._reasoning):
            voided.clear()
