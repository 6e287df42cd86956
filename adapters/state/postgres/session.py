"""What a transaction's repositories stand on: recorded writes, and reads that bring them along."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from adapters.state.postgres.link import Call, Rows
from adapters.state.postgres.values import text_array
from adapters.state.rows.ranks import Ranked
from adapters.state.rows.session import Result, Row, RowOf, Value
from adapters.state.rows.statements import Statement
from adapters.state.rows.tenancy import Tenancy
from core.conversations import Conversation
from core.identifiers import ConversationId, TenantId
from core.ports.state import Scope, StoreConflict

_MOST_TOGETHER = 512
"""Rows in one call, so that a long list of the same statement is not one object for ever."""


class Unit(Protocol):
    """A transaction on a connection."""

    async def run(self, calls: Sequence[Call], *, shareable: bool) -> list[Rows]:
        """What the calls answer, in one round trip. `shareable`: they neither write nor lock."""

    def fail(self, error: Exception) -> None:
        """Nothing of the transaction may be committed."""


class Premise:
    """A read that goes with the writes: they stand only where it still finds a row, or none."""

    __slots__ = ("call", "present")

    def __init__(self, call: Call, *, present: bool) -> None:
        self.call = call
        self.present = present


class PostgresSession(Tenancy):
    """One transaction or snapshot. Writes are recorded, and sent with the next read or the end.

    `has_written`: whether there is something to commit. `seen` are the conversations as this
    transaction read them, `idle` those of which it was told that no turn runs: what a write
    rests on, though no lock holds it.
    """

    __slots__ = (
        "_closed",
        "_premises",
        "_unit",
        "_writable",
        "_writes",
        "has_written",
        "idle",
        "seen",
    )

    def __init__(self, unit: Unit, scope: Scope, *, writable: bool) -> None:
        super().__init__(scope)
        self.seen: dict[ConversationId, Conversation] = {}
        self.idle: set[ConversationId] = set()
        self._unit = unit
        self._writable = writable
        self._writes: Ranked[Call] = Ranked(self._call)
        self._premises: list[Premise] = []
        self._closed = False
        self.has_written = False

    def texts(self, values: Iterable[str]) -> str:
        """See rows.session.Session."""
        return text_array(values)

    def write(self, statement: Statement, *rows: Row) -> None:
        """See rows.session.Session."""
        self._require_open()
        if not self._writable:
            raise RuntimeError("a snapshot is only for reading")
        if not rows:
            return
        self.has_written = True
        self._writes[statement].add(*rows)

    def write_for(self, tenant: TenantId, statement: Statement, *rows: Row) -> None:
        """See rows.session.Session."""
        self.admit(tenant)
        self.write(statement, *rows)

    def write_scoped(self, statement: Statement, *values: Value, rows: int = 1) -> None:  # noqa: ARG002
        """See rows.session.Session."""
        self.write(statement, (self.tenant, *values))

    def write_if(self, statement: Statement, *values: Value, present: bool) -> None:
        """Record a statement of the scope's rows without which nothing may be committed.

        StoreConflict at the next read or the end where it returns no row though one is to be
        `present`, or one though none is.
        """
        self.write(statement, (self.tenant, *values))
        self._premises.append(Premise(self._writes[statement], present=present))

    async def all(
        self,
        decode: Callable[[RowOf], Result],
        statement: Statement,
        *values: Value,
        rows: int = 1,  # noqa: ARG002 - everything is done at the server
    ) -> list[Result]:
        """See rows.session.Session."""
        self._require_open()
        form = statement.postgres_locking if self._writable else statement.postgres
        call = Call(form.of(self.tenant), (self.tenant, *values))
        shareable = not (self._writes or statement.locks)
        found: list[Any] = await self._run([*self._take(), call], shareable=shareable)
        return [decode(row) for row in found]

    async def changed(
        self,
        decode: Callable[[RowOf], Result],
        statement: Statement,
        *values: Value,
        rows: int = 1,
    ) -> list[Result]:
        """See rows.session.Session."""
        if not self._writable:
            raise RuntimeError("a snapshot is only for reading")
        self.has_written = True
        return await self.all(decode, statement, *values, rows=rows)

    async def one(
        self, decode: Callable[[RowOf], Result], statement: Statement, *values: Value
    ) -> Result | None:
        """See rows.session.Session."""
        rows = await self.all(decode, statement, *values)
        return rows[0] if rows else None

    def contradict(self) -> StoreConflict:
        """What this transaction read has changed: it must not go on. Returns what to raise."""
        conflict = StoreConflict("what was read has changed meanwhile; read again")
        self._unit.fail(conflict)
        return conflict

    @property
    def writable(self) -> bool:
        """Whether this is a transaction."""
        return self._writable

    def close(self) -> None:
        """Nothing may be read or written through this session any more."""
        self._closed = True

    async def rest(self) -> list[Call]:
        """The writes that are still recorded, to be sent with the commit.

        Those that rest on premises are sent now, since the commit is to wait for the answer.
        """
        if self._premises:
            await self._run(self._take(), shareable=False)
        return self._take()

    async def _run(self, calls: list[Call], *, shareable: bool) -> Rows:
        """The last call's rows."""
        premises, self._premises = self._premises, []
        answers = await self._unit.run(calls, shareable=shareable)
        for premise in premises:
            if bool(answers[calls.index(premise.call)]) != premise.present:
                raise self.contradict()
        return answers[-1]

    def _take(self) -> list[Call]:
        calls = self._writes.take()
        return [part.joined() for call in calls for part in call.parts(_MOST_TOGETHER)]

    def _call(self, statement: Statement) -> Call:
        return Call(statement.postgres_locking.of(self.tenant), many=statement.postgres_many)

    def _require_open(self) -> None:
        if self._closed:
            raise RuntimeError("the transaction is over")
