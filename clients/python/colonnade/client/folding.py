"""Puts an answer together from the events of its turn."""

from __future__ import annotations

from dataclasses import dataclass, field

from colonnade.client import answers
from colonnade.client.answers import Answer
from colonnade.v1.messages_pb2 import Citation
from colonnade.v1.turns_pb2 import (
    Delta,
    Finished,
    Retracted,
    Retrieved,
    Started,
    TurnEvent,
    Validation,
)


@dataclass(slots=True)
class AnswerFold:
    """Takes events in order; each may change what the answer is so far.

    `started` begins anew: whatever came before it is void. `retracted` takes text and citations
    back by their sequence numbers and puts its replacement in their place.
    """

    last_sequence: int = 0
    _started: Started = field(default_factory=Started)
    _retrieved: Retrieved = field(default_factory=Retrieved)
    _text: list[tuple[int, str]] = field(default_factory=list)
    _reasoning: list[tuple[int, str]] = field(default_factory=list)
    _citations: list[tuple[int, Citation]] = field(default_factory=list)
    _model: str = ""
    _validation: Validation = field(default_factory=Validation)
    _finished: Finished | None = None

    @property
    def text(self) -> str:
        """The text so far."""
        return "".join(text for _, text in self._text)

    @property
    def turn_id(self) -> str:
        """The turn; empty before its first event."""
        return self._started.turn_id

    def add(self, event: TurnEvent) -> None:
        """Take one more event. Kinds that this client doesn't know change nothing."""
        self.last_sequence = event.sequence
        match event.WhichOneof("kind"):
            case "started":
                self._begin(event.started)
            case "retrieved":
                self._retrieved = event.retrieved
            case "delta":
                self._append(event.sequence, event.delta)
            case "citation":
                self._citations.append((event.sequence, event.citation))
            case "retracted":
                self._take_back(event.sequence, event.retracted)
            case "provider_switched":
                self._model = event.provider_switched.to_model
            case "usage":
                self._model = event.usage.model
            case "validation":
                self._validation = event.validation
            case "finished":
                self._finished = event.finished

    def answer(self) -> Answer:
        """The answer so far."""
        started, finished = self._started, self._finished or Finished()
        ended = self._finished is not None
        return Answer(
            turn_id=started.turn_id,
            request_id=started.request_id,
            run=started.run,
            conversation=started.conversation,
            user_message=started.user_message,
            message=finished.message,
            text=self.text,
            reasoning="".join(text for _, text in self._reasoning),
            citations=tuple(citation for _, citation in self._citations),
            retrieved=tuple(self._retrieved.chunks),
            degraded=self._retrieved.degraded,
            validation=answers.validation_name(self._validation),
            answered_by=answers.answerer_name(self._validation),
            findings=tuple(self._validation.findings),
            finish_reason=answers.reason_name(finished.reason),
            model=finished.model or self._model,
            prompt_version=started.prompt_version,
            usage=finished.usage if ended else None,
            cost=answers.cost_of(finished.cost) if ended else None,
            latencies=finished.latencies if ended else None,
        )

    def _begin(self, started: Started) -> None:
        self._started, self._retrieved = started, Retrieved()
        self._model, self._validation, self._finished = "", Validation(), None
        for voided in (self._text, self._reasoning, self._citations):
            voided.clear()

    def _append(self, sequence: int, delta: Delta) -> None:
        if delta.WhichOneof("content") == "reasoning":
            self._reasoning.append((sequence, delta.reasoning))
        else:
            self._text.append((sequence, delta.text))

    def _take_back(self, sequence: int, retracted: Retracted) -> None:
        first = retracted.from_sequence
        self._text = [piece for piece in self._text if piece[0] < first]
        self._reasoning = [piece for piece in self._reasoning if piece[0] < first]
        self._citations = [piece for piece in self._citations if piece[0] < first]
        # The replacement bears the number of the event that brought it, so that a later event
        # can take it back too.
        self._text.append((sequence, retracted.replacement))
