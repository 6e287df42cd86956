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

_LONG = 4_096
"""Characters that are copied for each further piece at most: a log may have tens of thousands."""


@dataclass(slots=True)
class Transcript:
    """Folds events in order. A later run's `started` voids what was before it.

    `reasoning` is what the model has thought so far.
    """

    started: Started | None = None
    passages: tuple[Passage, ...] = ()
    citations: list[Citation] = field(default_factory=list)
    switches: list[Switched] = field(default_factory=list)
    used: list[AttemptUsed] = field(default_factory=list)
    verdict: Verdict | None = None
    finished: Finished | None = None
    reasoning: str = ""
    _text: str = ""
    _end: str = ""

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
        return self._text + self._end

    @property
    def text_bytes(self) -> int:
        """The answer's length in UTF-8: what an attempt without usage is booked by."""
        return len((self._text + self._end + self.reasoning).encode())

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
            self._end += event.text
            if len(self._end) > _LONG:
                self._text, self._end = self.text, ""
        else:
            self._fold(event)

    def _fold(self, event: TurnEvent) -> None:
        match event:
            case Started() | Retracted():
                self._begin(event)
            case Reasoning(text):
                self.reasoning += text
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

    def _begin(self, anew: Started | Retracted) -> None:
        """A run begins, or its answer does: what was said before is void."""
        if isinstance(anew, Started):
            self.started, self.passages, self.verdict = anew, (), None
        self._text = self._end = self.reasoning = ""
        self.citations = []
