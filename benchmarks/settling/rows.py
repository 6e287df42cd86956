"""What is written for one turn: rows that the state and the bare drivers write alike."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from core.conversations import Conversation
from core.generation import TokenUsage
from core.identifiers import (
    BootId,
    ConversationId,
    DeploymentName,
    MessageId,
    RequestId,
    Seconds,
    TenantId,
    TurnId,
    UserId,
)
from core.messages import Message, Role, StoredMessage
from core.turns.rows import (
    CHAT,
    EndReason,
    IdempotencyKey,
    IdempotencyRecord,
    LedgerLine,
    LoggedEvent,
    Turn,
    TurnState,
)

TENANT, USER = TenantId("acme"), UserId("ann")
NOW = datetime(2026, 3, 1, tzinfo=UTC)
LEASE, HARD = Seconds(5.0), Seconds(10.0)
TALKS = [ConversationId(f"talk-{number}") for number in range(512)]
"""Turns that run at once belong to different conversations."""

CONVERSATIONS = [Conversation(talk, USER, "", NOW, NOW) for talk in TALKS]
APPENDS = 3
_TEXT = "The keys of a tenant are rotated from the settings page, one at a time. "


@dataclass(frozen=True, slots=True)
class Plan:
    """One turn: how it is claimed, what is logged, and how it is settled."""

    turn: Turn
    record: IdempotencyRecord
    question: StoredMessage
    events: tuple[LoggedEvent, ...]
    answer: StoredMessage
    line: LedgerLine
    settled: Turn
    """The turn's row at its end."""

    def after(self, appends: int) -> Turn:
        """The turn's row once so many events are logged."""
        return _after(self.turn, appends)


def _after(turn: Turn, appends: int) -> Turn:
    until = NOW + timedelta(seconds=LEASE)
    return replace(turn, next_seq=1 + appends, released=True, lease_until=until)


def a_plan(number: int) -> Plan:
    """The turn with this number; no two share a key. Each follows a message of its own."""
    name, talk = f"{number:012}", TALKS[number % len(TALKS)]
    id = TurnId(f"turn-{name}")
    key = IdempotencyKey(TENANT, USER, CHAT, RequestId(f"request-{name}"))
    question, answer = MessageId(f"question-{name}"), MessageId(f"answer-{name}")
    turn = Turn(
        id, TENANT, USER, TurnState.RUNNING, 1, 1, BootId("boot"), "nonce", NOW,
        NOW + timedelta(hours=1), NOW,
        key.request_id, talk, MessageId(f"parent-{name}"), question,
    )  # fmt: skip
    words = Message.of(Role.USER, "How do I rotate the keys of a tenant?")
    said = Message.of(Role.ASSISTANT, _TEXT * APPENDS)
    return Plan(
        turn,
        IdempotencyRecord(key, id, "digest"),
        StoredMessage(question, talk, None, words, NOW, turn=id),
        tuple(LoggedEvent(n, 1, 1, "delta", _TEXT.encode()) for n in range(1, APPENDS + 1)),
        StoredMessage(answer, talk, question, said, NOW, turn=id, model="tiny"),
        LedgerLine(
            id, 1, TENANT, USER, "chat", DeploymentName("local"), "tiny", TokenUsage(900, 60),
            None, "USD", False, NOW,
        ),
        replace(
            _after(turn, APPENDS), state=TurnState.FINISHED, reason=EndReason.STOP, ended_at=NOW
        ),
    )  # fmt: skip
