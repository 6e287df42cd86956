"""A run as a pure machine: what happens goes in, what is to be done comes out.

The driver performs the effects in order and tells the machine what came of them. Everything
that a client sees passes through here, so that no text leaves that was not checked.
"""

from __future__ import annotations

from dataclasses import dataclass

from core.chat import Grounding
from core.generation import (
    ReasoningDelta,
    RefusalDelta,
    StopCause,
    TextDelta,
)
from core.grounding import stream as guard
from core.grounding.refusals import refusal_text
from core.grounding.stream import Failure, GroundedStream, Guarded
from core.grounding.verdict import AnsweredBy, Verdict, VerdictStatus
from core.knowledge import Passage
from core.ports.model_gateway import (
    Completed,
    GatewayEvent,
    Restarted,
    Selected,
    Switched,
)
from core.replacing import replaced
from core.turns import events
from core.turns.events import Cited, Reasoning, Retrieved, Started, Text, TurnEvent, Validated
from core.turns.rows import EndReason


@dataclass(frozen=True, slots=True)
class Found:
    """The documents were searched; `degraded` when part of the search was late or down."""

    passages: tuple[Passage, ...]
    degraded: bool = False


@dataclass(frozen=True, slots=True)
class QuotingFailed:
    """The extractive model, which was to stand in for an answer that failed, cannot be asked."""


Happening = Found | QuotingFailed | GatewayEvent


@dataclass(frozen=True, slots=True)
class Emit:
    """Put this event into the log."""

    event: TurnEvent


@dataclass(frozen=True, slots=True)
class Search:
    """Search the documents; then say what was Found."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Have a model write, and pass on what it says. `only_extractive`: one that only quotes."""

    only_extractive: bool = False


@dataclass(frozen=True, slots=True)
class Hush:
    """Stop the model that writes now; what it still says is not wanted."""


@dataclass(frozen=True, slots=True)
class End:
    """The run has ended of its own accord."""

    reason: EndReason


Effect = Emit | Search | Ask | Hush | End


@dataclass(frozen=True, slots=True)
class RunState:
    """Where a run stands.

    `guard` stands between the model and the client in a grounded answer; None before a model
    is selected, and in a free chat. `replacing`: an answer failed its check, and the extractive
    model is asked in its place. `silent`: nothing of the current model's words is wanted.
    """

    grounded: bool
    grounding: Grounding
    language: str
    passages: tuple[Passage, ...] = ()
    guard: GroundedStream | None = None
    replacing: bool = False
    silent: bool = False
    ended: bool = False

    @property
    def is_free(self) -> bool:
        """Whether a model's text is emitted as it comes, and changes nothing here."""
        return self.guard is None and not self.silent and not self.ended


Step = tuple[RunState, tuple[Effect, ...]]

_SEARCH, _ASK = Search(), Ask()


def begin(started: Started, *, grounded: bool, grounding: Grounding, language: str) -> Step:
    """A run's first step."""
    state = RunState(grounded, grounding, language)
    return state, (Emit(started), _SEARCH if grounded else _ASK)


def advance(state: RunState, happening: Happening) -> Step:
    """The state after something happened, and what is to be done about it, in order."""
    if state.ended:
        return state, ()
    match happening:
        case Found(passages, degraded):
            return replaced(state, passages=passages), (
                Emit(Retrieved(passages, degraded)),
                Ask(),
            )
        case Selected():
            return _selected(state, happening), ()
        case Switched() | Restarted():
            return _passed_on(state, happening)
        case TextDelta() | RefusalDelta() | ReasoningDelta():
            return _said(state, happening)
        case QuotingFailed():
            return _refuse(state, [])
        case Completed():
            return _completed(state, happening)
        case _:
            return state, ()


def _selected(state: RunState, selected: Selected) -> RunState:
    if not state.grounded or state.replacing or selected.continues:
        return replaced(state, silent=False) if state.silent else state
    fresh = guard.begin(state.passages, selected.deployment.tier, state.grounding)
    return replaced(state, guard=fresh, silent=False)


def _passed_on(state: RunState, change: Switched | Restarted) -> Step:
    """Another is asked. Where it begins anew, what was sent is taken back, if anything was."""
    if isinstance(change, Switched):
        told = events.Switched(change.failed, change.next, change.attempt, change.cause)
        return state, (Emit(told),)
    unseen = state.guard is not None and not state.guard.length
    return replaced(state, guard=None), () if unseen else (Emit(events.Retracted(change.cause)),)


def _said(state: RunState, said: TextDelta | RefusalDelta | ReasoningDelta) -> Step:
    if state.silent:
        return state, ()
    if isinstance(said, ReasoningDelta):
        return state, (Emit(Reasoning(said.text)),)
    if state.guard is None:
        return state, (Emit(Text(said.text)),) if said.text else ()
    take = guard.feed if isinstance(said, TextDelta) else guard.refuse
    guarded, out = take(state.guard, said.text)
    return _let_out(replaced(state, guard=guarded), out)


def _let_out(state: RunState, out: tuple[Guarded, ...]) -> Step:
    """Send on what passed; at what did not, stop the model and have the documents quoted."""
    effects: list[Effect] = []
    for guarded in out:
        if isinstance(guarded, Failure):
            return _failed(state, effects)
        if guarded.text:
            effects.append(Emit(Text(guarded.text)))
        effects.extend(Emit(Cited(citation)) for citation in guarded.citations)
    return state, tuple(effects)


def _failed(state: RunState, effects: list[Effect]) -> Step:
    assert state.guard is not None  # only a guard finds fault
    if state.replacing:
        return _refuse(state, [*effects, Hush()])
    following = replaced(state, guard=guard.continued(state.guard), replacing=True, silent=True)
    return following, (*effects, Hush(), Ask(only_extractive=True))


def _refuse(state: RunState, effects: list[Effect]) -> Step:
    """Nothing passed, not even quotations: say so in plain words, unless something is out."""
    if state.guard is not None and not state.guard.length:
        effects.append(Emit(Text(refusal_text(state.language))))
        found = guard.verdict(state.guard).details
        verdict = Verdict(VerdictStatus.REFUSED, AnsweredBy.EXTRACTION, found)
    else:
        verdict = guard.verdict(state.guard) if state.guard else _PASSED
    return _end(state, effects, verdict, EndReason.STOP)


def _completed(state: RunState, completed: Completed) -> Step:
    used = events.AttemptUsed(
        completed.attempt,
        completed.deployment.name,
        completed.usage,
        completed.estimated,
        completed.cost,
        completed.currency,
    )
    reason = _REASONS[completed.cause]
    if state.guard is None:
        return _end(state, [Emit(used)], None, reason)
    if state.silent:
        return state, (Emit(used),)
    cut = completed.cause is not StopCause.STOP
    guarded, out = guard.finish(state.guard, cut=cut)
    state, effects = _let_out(replaced(state, guard=guarded), out)
    if state.ended or state.silent:
        return state, (Emit(used), *effects)
    return _end(state, [*effects, Emit(used)], guard.verdict(guarded), reason)


def _end(
    state: RunState, effects: list[Effect], verdict: Verdict | None, reason: EndReason
) -> Step:
    if verdict is not None:
        effects.append(Emit(Validated(verdict)))
        if verdict.status is VerdictStatus.REFUSED:
            reason = EndReason.REFUSED
    return replaced(state, ended=True), (*effects, End(reason))


_PASSED = Verdict(VerdictStatus.PASS, AnsweredBy.MODEL)
_REASONS = {
    StopCause.STOP: EndReason.STOP,
    StopCause.TOOL_CALLS: EndReason.STOP,
    StopCause.LENGTH: EndReason.LENGTH,
    StopCause.CONTENT_FILTER: EndReason.CONTENT_FILTER,
}
