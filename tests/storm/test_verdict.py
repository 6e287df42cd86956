"""A storm's verdict sees what is wrong: each fault, put into an otherwise good turn, is found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from adapters.grpc.codec import ProtobufCodec
from colonnade.v1.turns_pb2 import TURN_STATE_RUNNING, Turn, TurnEvent, TurnEvents
from core.generation import TokenUsage
from core.identifiers import (
    BootId,
    DeploymentName,
    RequestId,
    Seconds,
    TenantId,
    TurnId,
    UserId,
)
from core.turns import rows
from core.turns.events import Finished, Latencies, Started, Text
from core.turns.events import TurnEvent as DomainEvent
from core.turns.rows import CHAT, EndReason, IdempotencyKey, IdempotencyRecord, TurnState
from fakes.state import FakeState
from services.turns.logged import numbered
from storm.questions import Question
from storm.recorded_model import FIRST
from storm.spending import ModelCall
from storm.verdict import Verdict, judge
from storm.witness import Cancelled, Witness

QUESTION = Question("q1", 3, 10, "ends")
DEMO, NOW = TenantId("demo"), datetime(2026, 3, 1, tzinfo=UTC)
USAGE = TokenUsage(20, 3, 0, 0)
PRICE = Decimal("0.000026")


def attempt(number: int = 1, **changes: object) -> rows.Attempt:
    plain = rows.Attempt(
        "turn-1", number, DEMO, 1, 1, DeploymentName(FIRST), 25, None, NOW, used=USAGE, booked=True
    )
    return replace(plain, **changes)  # type: ignore[arg-type]  # a test names fields of Attempt


def line(number: int = 1, **changes: object) -> rows.LedgerLine:
    plain = rows.LedgerLine(
        *("turn-1", number, DEMO, UserId("demo"), "", DeploymentName(FIRST), "m"),
        *(USAGE, PRICE, "USD", False, NOW),
    )
    return replace(plain, **changes)  # type: ignore[arg-type]  # a test names fields of LedgerLine


def call(**changes: object) -> ModelCall:
    plain = ModelCall("q1", FIRST, 20, 0.0, "calls-0-1", None, 1.0, (20, 3))
    return replace(plain, **changes)  # type: ignore[arg-type]  # a test names fields of ModelCall


@dataclass
class Case:
    """A turn as the store has it, and as a client and a model remember it."""

    words: list[str] = field(default_factory=lambda: ["q1/0 ", "q1/1 ", "q1/2 "])
    state: TurnState = TurnState.FINISHED
    reason: EndReason = EndReason.STOP
    attempts: list[rows.Attempt] = field(default_factory=lambda: [attempt()])
    lines: list[rows.LedgerLine] = field(default_factory=lambda: [line()])
    calls: list[ModelCall] = field(default_factory=lambda: [call()])
    cancelled: bool = False
    runs: Sequence[int] = (0,)
    seen: Callable[[list[TurnEvent]], list[TurnEvent]] = lambda events: events
    kept: Callable[[list[rows.LoggedEvent]], list[rows.LoggedEvent]] = lambda events: events

    def log(self) -> list[rows.LoggedEvent]:
        """A `started` before the words with these numbers, and the end."""
        events: list[DomainEvent] = []
        for number, word in enumerate(self.words):
            if number in self.runs:
                events.append(Started(TurnId("turn-1"), len(events) + 1, "p", "m"))
            events.append(Text(word))
        if self.state is TurnState.FINISHED:
            last = (DeploymentName(FIRST), USAGE, False, PRICE, "USD", Latencies(), None, None)
            events.append(Finished(self.reason, *last))
        return list(numbered(ProtobufCodec(), events, first=1, run=1, epoch=1))


async def verdict_on(case: Case) -> Verdict:
    state, witness, log = FakeState(), Witness(), case.log()
    turn = rows.Turn(
        *(TurnId("turn-1"), DEMO, UserId("demo"), case.state, 1, 1, BootId("b"), "n"),
        *(NOW, NOW, NOW),
        next_seq=len(log) + 1,
        reason=case.reason,
        linger=Seconds(1.0),
    )
    async with state.transaction(DEMO) as tx:
        key = IdempotencyKey(DEMO, UserId("demo"), CHAT, RequestId("q1"))
        tx.idempotency.insert(IdempotencyRecord(key, turn.id, "digest"))
        tx.turns.insert(turn)
        tx.events.append(turn, case.kept(log))
        for one in case.attempts:
            tx.spending.begin(one)
        for booked in case.lines:
            tx.spending.book(booked)
    reading = witness.reading(QUESTION)
    reading.take(case.seen([TurnEvents.FromString(event.body).events[0] for event in log]))
    reading.ended = "finished" if reading.finished else "failed"
    if case.cancelled:
        witness.cancels.append(Cancelled(QUESTION, 0.0, Turn(state=TURN_STATE_RUNNING)))
    return await judge(state, witness, {"q1": case.calls})


async def test_a_good_turn_is_found_good() -> None:
    verdict = await verdict_on(Case())
    assert verdict.violations == []
    assert verdict.spending.tokens_booked_exactly == verdict.spending.tokens_by_models == 23


def changed(events: list[TurnEvent]) -> list[TurnEvent]:
    events[1].delta.text = "something else "
    return events


def of_another_turn(events: list[TurnEvent]) -> list[TurnEvent]:
    events[0].started.turn_id = "turn-2"
    return events


ESTIMATE = line(usage=TokenUsage(25, 5), estimated=True)
FAULTS: dict[str, tuple[Case, str]] = {
    "an event is not in the log": (Case(kept=lambda log: log[:-1]), "lost"),
    "an event is other than logged": (Case(seen=changed), "contradicted"),
    "an event comes twice": (Case(seen=lambda e: [*e[:2], *e[1:]]), "doubled"),
    "an event is left out": (Case(seen=lambda e: [*e[:2], *e[3:]]), "doubled"),
    "two turns for one id": (Case(seen=of_another_turn), "doubled"),
    "a word comes twice": (Case(words=["q1/0 ", "q1/0 ", "q1/1 "]), "contradicted"),
    "whole, and is not": (Case(words=["q1/0 ", "q1/1 "]), "contradicted"),
    "runs again after text": (Case(runs=(0, 2)), "contradicted"),
    "is never ended": (Case(state=TurnState.RUNNING), "not_ended"),
    "a cancel has no effect": (Case(cancelled=True), "contradicted"),
    "is told an end too early": (
        Case(state=TurnState.FAILED, reason=EndReason.ERROR, seen=lambda e: e[:-1]),
        "lost",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
async def test_what_is_wrong_with_a_turn_is_found(name: str) -> None:
    case, kind = FAULTS[name]
    verdict = await verdict_on(case)
    assert getattr(verdict, kind), verdict.violations


SPENT: dict[str, Case] = {
    "a call is booked twice": Case(attempts=[attempt(), attempt(2)], lines=[line(), line(2)]),
    "a call is not booked": Case(lines=[], attempts=[attempt(booked=False)]),
    "a call has no attempt": Case(calls=[call(), call()]),
    "other tokens are booked": Case(lines=[line(usage=TokenUsage(20, 4))]),
    "a count was told and forgotten": Case(lines=[ESTIMATE], calls=[call()]),
    "an estimate is too high": Case(
        lines=[line(usage=TokenUsage(25, 1000), estimated=True)],
        calls=[call(ended=None, usage=None)],
    ),
    "an estimate is too low": Case(
        lines=[line(usage=TokenUsage(5, 1), estimated=True)], calls=[call(ended=None, usage=None)]
    ),
}


@pytest.mark.parametrize("name", SPENT)
async def test_what_is_wrong_with_the_ledger_is_found(name: str) -> None:
    verdict = await verdict_on(SPENT[name])
    assert verdict.spending.wrong


async def test_what_a_death_explains_is_no_fault() -> None:
    died = call(died=2.0)
    verdict = await verdict_on(Case(lines=[ESTIMATE], calls=[died]))
    assert verdict.violations == []
    assert verdict.spending.forgotten == 1
    never_called = Case(
        attempts=[attempt(), attempt(2)],
        lines=[line(), line(2, usage=TokenUsage(25, 0), estimated=True)],
    )
    verdict = await verdict_on(never_called)
    assert verdict.violations == []
    assert verdict.spending.never_called == 1
