"""Every table, once, for SQLite and PostgreSQL.

Imported by migrations and tests only: at run time statements go to the driver as plain SQL.

Times are whole microseconds since 1970 (UTC), which sort as numbers on every database; money
and other decimals are text, which loses nothing; small maps and lists are JSON text. Every row
carries its tenant. Where a vector's bytes would be read along with text that nobody asked them
for, they have a table of their own.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.types import TypeEngine

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)


Value = TypeVar("Value")


def _columns(kind: type[TypeEngine[Value]], names: Iterable[str]) -> list[Column[Value]]:
    return [Column(name, kind, nullable=False) for name in names]


def _optional(kind: type[TypeEngine[Value]], *names: str) -> list[Column[Value]]:
    return [Column(name, kind, nullable=True) for name in names]


def _text(*names: str, default: str | None = None) -> list[Column[str]]:
    return [Column(name, Text, nullable=False, server_default=default) for name in names]


def _numbers(*names: str) -> list[Column[int]]:
    return _columns(BigInteger, names)


def _floats(*names: str) -> list[Column[float]]:
    return _columns(Float, names)


def _flags(*names: str) -> list[Column[bool]]:
    return _columns(Boolean, names)


def _bytes(*names: str) -> list[Column[bytes]]:
    return _columns(LargeBinary, names)


_BUSY = text("state IN ('RUNNING', 'WAITING') AND conversation IS NOT NULL")
_TO_SWEEP = text("sweep IS NOT NULL")
_ORPHANED = text("NOT booked AND epoch = 0")
_HELD = text("holder <> ''")
_IN_CONVERSATION = text("conversation IS NOT NULL")

turn = Table(
    "turn",
    metadata,
    *_text("id", "tenant", "user_id", "state"),
    *_numbers("run", "epoch"),
    *_text("owner", "claim_nonce"),
    *_numbers("lease_until", "deadline_at", "created_at"),
    *_text("request_id"),
    *_optional(Text, "conversation"),
    *_text("parent"),  # '' is the root: a value, so that the index below sees it
    *_optional(Text, "user_message"),
    *_text("feature"),
    *_numbers("next_seq", "log_from"),
    *_flags("released", "done"),
    *_optional(Text, "cancel"),
    *_flags("detached"),
    *_floats("linger"),
    *_flags("retractions", "rerunnable"),
    *_optional(Text, "reason", "error"),
    *_optional(BigInteger, "ended_at"),
    *_text("approval", default=""),
    *_optional(BigInteger, "wait_until"),
    *_optional(Text, "decision"),
    Column("forgotten", Boolean, nullable=False, server_default=false()),
    *_optional(Text, "sweep"),  # derived: what the sweeper still has to do once the turn ended
    PrimaryKeyConstraint("id"),
    Index(
        "ux_turn_busy_branch",
        "tenant",
        "conversation",
        "parent",
        unique=True,
        sqlite_where=_BUSY,
        postgresql_where=_BUSY,
    ),
    # No column that changes with every commit of a run is in an index: each would be written anew.
    Index(None, "state", "created_at", "id"),
    Index(
        "ix_turn_sweep",
        "sweep",
        "ended_at",
        "id",
        sqlite_where=_TO_SWEEP,
        postgresql_where=_TO_SWEEP,
    ),
    Index(
        "ix_turn_conversation",
        "conversation",
        sqlite_where=_IN_CONVERSATION,
        postgresql_where=_IN_CONVERSATION,
    ),
)

idempotency = Table(
    "idempotency",
    metadata,
    *_text("tenant", "user_id", "operation", "request_id", "turn", "digest"),
    PrimaryKeyConstraint("tenant", "user_id", "operation", "request_id"),
    Index(None, "turn"),
)

event = Table(
    "event",
    metadata,
    *_text("turn"),
    *_numbers("seq"),
    *_text("tenant"),
    *_numbers("run", "epoch"),
    *_text("kind"),
    *_bytes("body"),
    PrimaryKeyConstraint("turn", "seq"),
)

reader = Table(
    "reader",
    metadata,
    *_text("turn", "boot", "tenant"),
    *_numbers("expires_at"),
    PrimaryKeyConstraint("turn", "boot"),
)

attempt = Table(
    "attempt",
    metadata,
    *_text("unit"),
    *_numbers("number"),
    *_text("tenant"),
    *_numbers("run", "epoch"),
    *_text("deployment"),
    *_numbers("prompt_tokens"),
    *_optional(Text, "reserved"),
    *_numbers("began_at"),
    *_text("user_id", "feature"),
    *_optional(Text, "used"),
    *_numbers("output_bytes"),
    *_flags("booked"),
    *_text("error"),
    *_text("key_id", "holder", default=""),
    PrimaryKeyConstraint("unit", "number"),
    Index(
        "ix_attempt_orphaned",
        "began_at",
        sqlite_where=_ORPHANED,
        postgresql_where=_ORPHANED,
    ),
    Index(
        "ix_attempt_holder",
        "holder",
        "unit",
        "number",
        sqlite_where=_HELD,
        postgresql_where=_HELD,
    ),
)

ledger = Table(
    "ledger",
    metadata,
    *_text("unit"),
    *_numbers("attempt"),
    *_text("tenant", "user_id", "feature", "deployment", "model", "usage"),
    *_optional(Text, "cost"),
    *_text("currency"),
    *_flags("estimated"),
    *_numbers("booked_at"),
    *_text("key_id", default=""),
    PrimaryKeyConstraint("unit", "attempt"),
    Index(None, "tenant", "booked_at"),
)

budget = Table(
    "budget",
    metadata,
    *_text("id", "tenant", "rule", "account"),
    *_numbers("version"),
    PrimaryKeyConstraint("id"),
)

budget_alert = Table(
    "budget_alert",
    metadata,
    *_text("budget", "tenant"),
    *_numbers("window_start"),
    *_text("threshold", "budget_limit", "spent", "currency"),
    *_numbers("told_at"),
    PrimaryKeyConstraint("budget", "window_start", "threshold", "budget_limit"),
)

cached = Table(
    "cached",
    metadata,
    *_text("tenant", "kind", "digest"),
    *_bytes("body"),
    *_numbers("size_bytes", "made_at", "expires_at"),
    PrimaryKeyConstraint("tenant", "kind", "digest"),
    Index("ix_cached_newest", "tenant", "kind", "made_at", "digest", "size_bytes"),
    Index(None, "expires_at"),
)

execution = Table(
    "execution",
    metadata,
    *_text("turn", "request_id", "tenant", "user_id", "prompt_version", "model_version"),
    *_text("retrieved", "tool_calls"),
    *_floats("latency_ms"),
    *_optional(Float, "first_event_ms"),
    *_text("usage"),
    *_optional(Text, "cost"),
    *_text("currency", "validation", "answered_by", "reason", "details"),
    PrimaryKeyConstraint("turn"),
)

conversation = Table(
    "conversation",
    metadata,
    *_text("id", "tenant", "owner", "title"),
    *_numbers("created_at", "updated_at"),
    *_optional(Text, "head"),
    *_text("labels", "etag"),
    PrimaryKeyConstraint("id"),
    Index(None, "tenant", "owner", "updated_at", "id"),
)

message = Table(
    "message",
    metadata,
    *_text("id", "tenant", "conversation"),
    *_optional(Text, "parent"),
    *_text("role", "parts"),
    *_numbers("created_at"),
    *_optional(Text, "turn"),
    *_flags("partial"),
    *_text("citations", "model"),
    PrimaryKeyConstraint("id"),
    ForeignKeyConstraint(["conversation"], ["conversation.id"], ondelete="CASCADE"),
    Index(None, "conversation", "created_at", "id"),
)

collection = Table(
    "collection",
    metadata,
    *_text("tenant", "name", "embedder"),
    *_numbers("dimensions", "created_at"),
    *_text("description"),
    *_numbers("position", "document_count", "chunk_count"),
    PrimaryKeyConstraint("tenant", "name"),
)

_IN_COLLECTION = (["tenant", "collection"], ["collection.tenant", "collection.name"])

document = Table(
    "document",
    metadata,
    *_text("tenant", "collection", "id", "uri", "title", "content_type", "digest"),
    *_numbers("size_bytes", "created_at", "updated_at"),
    *_text("attributes"),
    *_numbers("chunk_count"),
    PrimaryKeyConstraint("tenant", "collection", "id"),
    UniqueConstraint("tenant", "collection", "uri"),
    ForeignKeyConstraint(*_IN_COLLECTION, ondelete="CASCADE"),
)

chunk = Table(
    "chunk",
    metadata,
    *_text("tenant", "collection", "id", "document"),
    *_numbers("ordinal"),
    *_text("text"),
    *_numbers("start_offset", "end_offset"),
    *_text("heading", "language"),
    PrimaryKeyConstraint("tenant", "collection", "id"),
    ForeignKeyConstraint(
        ["tenant", "collection", "document"],
        ["document.tenant", "document.collection", "document.id"],
        ondelete="CASCADE",
    ),
    Index(None, "tenant", "collection", "document", "ordinal"),
)

chunk_vectors = Table(
    "chunk_vectors",
    metadata,
    *_text("tenant", "collection", "chunk"),
    *_numbers("vector_count"),
    *_bytes("body"),  # float32, one vector after the other
    PrimaryKeyConstraint("tenant", "collection", "chunk"),
    ForeignKeyConstraint(
        ["tenant", "collection", "chunk"],
        ["chunk.tenant", "chunk.collection", "chunk.id"],
        ondelete="CASCADE",
    ),
)

change = Table(
    "change",
    metadata,
    *_text("tenant", "collection"),
    *_numbers("position"),
    *_text("document", "removed", "added"),
    PrimaryKeyConstraint("tenant", "collection", "position"),
    ForeignKeyConstraint(*_IN_COLLECTION, ondelete="CASCADE"),
)

api_key = Table(
    "api_key",
    metadata,
    *_text("id", "tenant", "user_id", "digest", "scopes"),
    *_numbers("created_at"),
    *_text("label"),
    *_optional(BigInteger, "expires_at", "revoked_at"),
    PrimaryKeyConstraint("id"),
    UniqueConstraint("digest"),
    Index(None, "tenant", "created_at"),
)
