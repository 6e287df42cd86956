"""A unit of work: the repositories over one session."""

from __future__ import annotations

from datetime import datetime

from adapters.state.sqlite.api_keys import SqliteApiKeyRows
from adapters.state.sqlite.conversations import SqliteConversationRows
from adapters.state.sqlite.knowledge import SqliteKnowledgeRows
from adapters.state.sqlite.session import Session
from adapters.state.sqlite.spending import SqliteSpendingRows
from adapters.state.sqlite.turn_log import (
    SqliteEventRows,
    SqliteIdempotencyRows,
    SqliteReaderRows,
)
from adapters.state.sqlite.turns import SqliteTurnRows


class SqliteTransaction:
    """See core.ports.state.Transaction."""

    __slots__ = ("_now", "_session")

    def __init__(self, session: Session, now: datetime) -> None:
        self._session = session
        self._now = now

    @property
    def now(self) -> datetime:
        """The process's time at the start."""
        return self._now

    @property
    def turns(self) -> SqliteTurnRows:
        """Turns."""
        return SqliteTurnRows(self._session)

    @property
    def idempotency(self) -> SqliteIdempotencyRows:
        """Request ids."""
        return SqliteIdempotencyRows(self._session)

    @property
    def events(self) -> SqliteEventRows:
        """The turn log."""
        return SqliteEventRows(self._session)

    @property
    def readers(self) -> SqliteReaderRows:
        """Who reads a turn elsewhere."""
        return SqliteReaderRows(self._session)

    @property
    def spending(self) -> SqliteSpendingRows:
        """Attempts and ledger."""
        return SqliteSpendingRows(self._session)

    @property
    def conversations(self) -> SqliteConversationRows:
        """Conversations and messages."""
        return SqliteConversationRows(self._session)

    @property
    def knowledge(self) -> SqliteKnowledgeRows:
        """Collections, documents, chunks, change log."""
        return SqliteKnowledgeRows(self._session)

    @property
    def api_keys(self) -> SqliteApiKeyRows:
        """API keys."""
        return SqliteApiKeyRows(self._session)
