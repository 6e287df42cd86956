"""Rows for the tests of the state: plain ones, of which a test changes what it is about."""

from __future__ import annotations

from array import array
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from core.api_keys import ApiKey
from core.conversations import Conversation
from core.generation import TokenUsage
from core.identifiers import (
    ApiKeyId,
    BootId,
    ChunkId,
    CollectionName,
    ConversationId,
    DeploymentName,
    DocumentId,
    EmbedderName,
    MessageId,
    RequestId,
    TenantId,
    TurnId,
    UserId,
)
from core.knowledge import Chunk, Collection, CollectionKey, Document, Vector
from core.messages import Message, Role, StoredMessage
from core.ports.knowledge_rows import StoredChunk
from core.turns.rows import (
    CHAT,
    Attempt,
    ExecutionRecord,
    IdempotencyKey,
    IdempotencyRecord,
    LedgerLine,
    LoggedEvent,
    Turn,
    TurnState,
)

ACME = TenantId("acme")
OTHER = TenantId("other")
ANN = UserId("ann")
NOON = datetime(2026, 3, 1, 12, 0, 0, 250, tzinfo=UTC)
TALK = ConversationId("talk")
DOCS = CollectionName("docs")


def later(seconds: float) -> datetime:
    """So many seconds after noon."""
    return NOON + timedelta(seconds=seconds)


def a_turn(id: str = "turn-1", tenant: TenantId = ACME, **changes: object) -> Turn:
    """A running turn without a conversation."""
    plain = Turn(
        id=TurnId(id),
        tenant=tenant,
        user=ANN,
        state=TurnState.RUNNING,
        run=1,
        epoch=1,
        owner=BootId("boot-1"),
        claim_nonce="nonce",
        lease_until=later(5),
        deadline_at=later(60),
        created_at=NOON,
    )
    return replace(plain, **changes)  # type: ignore[arg-type] # a test names fields of Turn


def a_turn_on(parent: MessageId | None, id: str = "turn-1", **changes: object) -> Turn:
    """A turn on a branch of the conversation TALK."""
    return replace(a_turn(id), conversation=TALK, parent=parent, **changes)  # type: ignore[arg-type] # as above


def an_id(request: str = "request-1", tenant: TenantId = ACME) -> IdempotencyRecord:
    """A request id that stands for turn-1."""
    key = IdempotencyKey(tenant, ANN, CHAT, RequestId(request))
    return IdempotencyRecord(key, TurnId("turn-1"), "digest")


def events(first: int, count: int, body: bytes = b"text") -> list[LoggedEvent]:
    """So many deltas from a number on."""
    return [LoggedEvent(seq, 1, 1, "delta", body) for seq in range(first, first + count)]


def an_attempt(number: int = 1, unit: str = "turn-1", tenant: TenantId = ACME) -> Attempt:
    """An open attempt."""
    return Attempt(
        unit, number, tenant, 1, 1, DeploymentName("local"), 900, Decimal("0.0420"), NOON
    )


def a_line(attempt: int = 1, cost: str | None = "0.001", *, estimated: bool = False) -> LedgerLine:
    """A ledger line of turn-1."""
    return LedgerLine(
        unit="turn-1",
        attempt=attempt,
        tenant=ACME,
        user=ANN,
        feature="help",
        deployment=DeploymentName("local"),
        model="tiny",
        usage=TokenUsage(10, 20),
        cost=None if cost is None else Decimal(cost),
        currency="USD",
        estimated=estimated,
        booked_at=NOON,
    )


def an_execution(turn: str = "turn-1", tenant: TenantId = ACME) -> ExecutionRecord:
    """The record of a turn that was answered."""
    return ExecutionRecord(
        turn=TurnId(turn),
        request_id=RequestId("request-1"),
        tenant=tenant,
        user=ANN,
        prompt_version="answer@1",
        model_version="tiny@2",
        retrieved=("doc#1", "doc#2"),
        tool_calls=(),
        latency_ms=12.5,
        first_event_ms=None,
        usage=TokenUsage(10, None, 0, None),
        cost=None,
        currency="USD",
        validation="pass",
        answered_by="model",
        reason="STOP",
        details=(("grounding", "sentence"),),
    )


def a_conversation(id: str = "talk", owner: UserId = ANN, updated: float = 0) -> Conversation:
    """An empty conversation."""
    return Conversation(ConversationId(id), owner, "Talk", NOON, later(updated), etag="1")


def a_message(
    id: str, parent: str | None = None, at: float = 0, conversation: ConversationId = TALK
) -> StoredMessage:
    """A message of the user."""
    above = None if parent is None else MessageId(parent)
    text = Message.of(Role.USER, f"This is {id}.")
    return StoredMessage(MessageId(id), conversation, above, text, later(at))


def a_collection(name: str = "docs", tenant: TenantId = ACME) -> Collection:
    """An empty collection of vectors with two dimensions."""
    key = CollectionKey(tenant, CollectionName(name))
    return Collection(key, EmbedderName("minilm"), 2, NOON, "What we know")


def a_document(id: str = "doc", uri: str | None = None, title: str = "Guide") -> Document:
    """A document with an attribute."""
    return Document(
        id=DocumentId(id),
        uri=uri or f"file:///{id}.md",
        title=title,
        content_type="text/markdown",
        digest="ab" * 32,
        size_bytes=2_000,
        created_at=NOON,
        updated_at=later(1),
        attributes={"language": "en", "team": "ops"},
    )


def a_vector(*values: float) -> Vector:
    """A vector of these values."""
    return memoryview(array("f", values))


def a_chunk(id: str, document: str = "doc", ordinal: int = 0, vectors: int = 1) -> StoredChunk:
    """A chunk with vectors."""
    chunk = Chunk(
        ChunkId(id), DocumentId(document), ordinal, f"Words of {id}.", 0, 12, ("Top", "Sub"), "en"
    )
    return StoredChunk(chunk, tuple(a_vector(0.6, 0.8) for _ in range(vectors)))


def an_api_key(id: str = "key-1", digest: str = "d1", tenant: TenantId = ACME) -> ApiKey:
    """A key that may chat."""
    return ApiKey(ApiKeyId(id), tenant, ANN, digest, frozenset({"chat", "search"}), NOON, "laptop")
