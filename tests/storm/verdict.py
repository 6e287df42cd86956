"""After a storm: the store, held against what every client saw and every model wrote down."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from colonnade.v1.turns_pb2 import TurnEvent, TurnEvents
from core.identifiers import RequestId, TenantId, UserId
from core.messages import Role
from core.ports.state import State, Transaction
from core.turns.rows import (
    CHAT,
    EndReason,
    IdempotencyKey,
    LoggedEvent,
    Turn,
    TurnState,
)
from storm.questions import Question
from storm.spending import ModelCall, Spending, compare
from storm.witness import Cancelled, Reading, Witness

_TENANT, _USER = TenantId("demo"), UserId("demo")
_PAGE = 10_000


@dataclass
class Verdict:
    """What was wrong, by kind, and what the turns came to."""

    turns: int = 0
    events: int = 0
    events_seen: int = 0
    reruns: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    contradicted: list[str] = field(default_factory=list)
    not_ended: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    spending: Spending = field(default_factory=Spending)
    calls: Mapping[str, list[ModelCall]] = field(default_factory=dict)

    @property
    def violations(self) -> list[str]:
        """All of it."""
        return [
            *self.lost,
            *self.doubled,
            *self.contradicted,
            *self.not_ended,
            *self.unexpected,
            *self.spending.wrong,
        ]


async def judge(state: State, witness: Witness, calls: Mapping[str, list[ModelCall]]) -> Verdict:
    """Every question that was asked, one after the other."""
    verdict = Verdict(calls=calls)
    readings: dict[str, list[Reading]] = {name: [] for name in witness.questions}
    for reading in witness.readings:
        readings[reading.question.name].append(reading)
    cancels = {cancel.question.name: cancel for cancel in witness.cancels}
    for name, question in witness.questions.items():
        async with state.snapshot(_TENANT) as view:
            await _judge_one(
                view, question, readings[name], cancels.get(name), calls.get(name, []), verdict
            )
    verdict.unexpected += [f"{r.question.name}: {r.ended or r.error}" for r in witness.unexpected()]
    return verdict


async def _judge_one(
    view: Transaction,
    question: Question,
    readings: Sequence[Reading],
    cancel: Cancelled | None,
    calls: Sequence[ModelCall],
    verdict: Verdict,
) -> None:
    key = IdempotencyKey(_TENANT, _USER, CHAT, RequestId(question.name))
    record = await view.idempotency.find(key)
    if record is None:
        seen = [reading.turn for reading in readings if reading.turn]
        verdict.lost += [f"{question.name}: no turn, but {seen} was seen"] if seen or calls else []
        return
    turn = await view.turns.get(record.turn)
    assert turn is not None
    log = await view.events.read(turn.id, 0, _PAGE)
    attempts, lines = await view.spending.attempts(turn.id), await view.spending.lines(turn.id)
    verdict.turns += 1
    verdict.events += len(log)
    verdict.reruns += turn.run - 1
    verdict.ends[turn.reason.name if turn.reason else turn.state.name] += 1
    if not turn.state.ended:
        verdict.not_ended.append(f"{question.name}: {turn.id} is {turn.state.name}")
        return
    events = {event.seq: _parsed(event) for event in log}
    name = question.name
    verdict.contradicted += [f"{name}: {p}" for p in _faults_of_log(question, turn, events)]
    for reading in readings:
        verdict.events_seen += len(reading.events)
        verdict.doubled += [f"{name}: {fault}" for fault in reading.faults]
        if reading.turn and reading.turn != turn.id:
            verdict.doubled.append(f"{name}: the turns {turn.id} and {reading.turn}")
        verdict.lost += [f"{name}: {p}" for p in _lost(reading, events)]
        verdict.contradicted += [f"{name}: {p}" for p in _contradicted(reading, turn, events)]
    if cancel and cancel.was_running and turn.reason is not EndReason.CANCELLED:
        verdict.contradicted.append(f"{name}: cancelled, but {turn.reason}")
    text = "".join(event.delta.text for event in events.values())
    verdict.contradicted += [f"{name}: {p}" for p in await _faults_of_answer(view, turn, text)]
    compare(question, calls, attempts, lines, verdict.spending)


async def _faults_of_answer(view: Transaction, turn: Turn, text: str) -> Sequence[str]:
    """A conversation keeps each answer once, and it is what the log says."""
    if turn.conversation is None:
        return ()
    messages = await view.conversations.messages(turn.conversation, _PAGE, None)
    own = [m for m in messages if m.turn == turn.id]
    answers = [m.message.text for m in own if m.message.role is Role.ASSISTANT]
    if answers != ([text] if text else []):
        return [f"{len(answers)} answers are stored, of {[len(a) for a in answers]} characters"]
    return [] if len(own) - len(answers) == 1 else ["the question is not stored once"]


def _parsed(event: LoggedEvent) -> TurnEvent:
    return TurnEvents.FromString(event.body).events[0]


def _faults_of_log(
    question: Question, turn: Turn, events: Mapping[int, TurnEvent]
) -> Iterator[str]:
    if sorted(events) != list(range(1, turn.next_seq)):
        yield f"the log has the numbers {sorted(events)}, the row says {turn.next_seq}"
        return
    ordered = [events[number] for number in sorted(events)]
    finished = [event.sequence for event in ordered if event.HasField("finished")]
    if finished != ([turn.next_seq - 1] if turn.state is TurnState.FINISHED else []):
        yield f"finished at {finished} of {turn.next_seq - 1} in a turn that is {turn.state.name}"
    texts = [event.sequence for event in ordered if event.HasField("delta")]
    runs = [event.sequence for event in ordered if event.HasField("started")]
    if texts and runs and runs[-1] > texts[0]:
        yield f"run again after text: {runs} after {texts[0]}"
    text = "".join(event.delta.text for event in ordered)
    if not question.answer.startswith(text):
        yield f"the text is no beginning of the answer: {text!r}"
    if turn.reason is EndReason.STOP and text != question.answer:
        yield f"an answer that is called whole has {len(text)} of {len(question.answer)} characters"


def _lost(reading: Reading, events: Mapping[int, TurnEvent]) -> Iterator[str]:
    for event in reading.events:
        if event.sequence not in events:
            yield f"event {event.sequence} was seen and is not in the log"
    if reading.ended in ("finished", "failed") and reading.events and not reading.faults:
        told = reading.last
        more = [n for n in events if n > told and not _of_later_run(events, told, n)]
        if more:
            yield f"told the end after {told}, but the log goes on to {max(more)}"


def _of_later_run(events: Mapping[int, TurnEvent], told: int, number: int) -> bool:
    """Whether a run that began after the reader was told that the turn failed wrote the event."""
    return any(events[n].HasField("started") for n in range(told + 1, number + 1) if n in events)


def _contradicted(reading: Reading, turn: Turn, events: Mapping[int, TurnEvent]) -> Iterator[str]:
    for event in reading.events:
        logged = events.get(event.sequence)
        if logged is not None and logged != event:
            yield f"event {event.sequence} was seen with other content than the log's"
    if reading.ended == "finished" and turn.state is not TurnState.FINISHED:
        yield f"finished was seen, but the turn is {turn.state.name}"
