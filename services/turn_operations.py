"""What operators see of turns and do about them: rows, never content."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from core.call import Call
from core.errors import NotFound, PermissionRefused
from core.identifiers import Seconds, TurnId
from core.pages import Cursor, Page, PageRequest, page_of
from core.ports.state import EVERY_TENANT, Scope, State, Transaction
from core.principal import EVERY_TENANT_SCOPE, Principal
from core.turns.rows import Attempt, LedgerLine, ReaderRow, Turn, TurnState

UNDER_WAY = frozenset({TurnState.RUNNING, TurnState.WAITING})


@dataclass(frozen=True, slots=True)
class TurnRow:
    """A turn's row, and how long its lease still lasts by the store's time."""

    turn: Turn
    lease_left: Seconds | None


@dataclass(frozen=True, slots=True)
class TurnDetails:
    """A turn's row with what hangs on it. `now` is the store's time of all of it."""

    row: TurnRow
    attempts: Sequence[Attempt]
    lines: Mapping[int, LedgerLine]
    readers: Sequence[ReaderRow]
    now: datetime


class Cancels(Protocol):
    """What stops turns."""

    async def cancel(self, call: Call, turn: TurnId) -> None:
        """Stop a turn of the caller's own."""


class TurnOperations:
    """Turns of a caller's tenant, or of all where its key says so by name."""

    def __init__(self, state: State, turns: Cancels) -> None:
        self._state = state
        self._turns = turns

    async def list(
        self,
        call: Call,
        states: AbstractSet[TurnState],
        page: PageRequest,
        *,
        all_tenants: bool = False,
    ) -> Page[TurnRow]:
        """Turns in these states, by default those under way; newest first.

        Raises PermissionRefused where the key does not see all tenants, and they are asked for.
        """
        scope: Scope = call.principal.tenant
        if all_tenants:
            _require_every_tenant(call.principal)
            scope = EVERY_TENANT
        async with self._state.snapshot(scope) as view:
            turns = await view.turns.list(states or UNDER_WAY, page.size + 1, page.after)
            rows = [_row(turn, view.now) for turn in turns]
        return page_of(rows, page, lambda row: Cursor(row.turn.created_at.isoformat(), row.turn.id))

    async def details(self, call: Call, id: TurnId) -> TurnDetails:
        """The turn with its attempts and readers, from one snapshot. Raises NotFound."""
        async with self._seen(call, id) as (view, turn):
            return TurnDetails(
                row=_row(turn, view.now),
                attempts=await view.spending.attempts(turn.id),
                lines={line.attempt: line for line in await view.spending.lines(turn.id)},
                readers=await view.readers.of(turn.id),
                now=view.now,
            )

    async def cancel(self, call: Call, id: TurnId) -> TurnDetails:
        """Stop the turn in the name of whoever asked for it. Raises NotFound."""
        async with self._seen(call, id) as (_, turn):
            owner = Principal(turn.tenant, turn.user, call.principal.key)
        call.facts.turn_id = turn.id
        await self._turns.cancel(replace(call, principal=owner), turn.id)
        return await self.details(call, id)

    @asynccontextmanager
    async def _seen(self, call: Call, id: TurnId) -> AsyncIterator[tuple[Transaction, Turn]]:
        """A snapshot of the turn's tenant, and the turn."""
        tenant = call.principal.tenant
        if call.principal.sees_every_tenant:
            async with self._state.snapshot(EVERY_TENANT) as view:
                found = await view.turns.get(id)
            tenant = found.tenant if found else tenant
        async with self._state.snapshot(tenant) as view:
            turn = await view.turns.get(id)
            if turn is None:
                raise NotFound("turn", id)
            yield view, turn


def _row(turn: Turn, now: datetime) -> TurnRow:
    running = turn.state is TurnState.RUNNING
    left = Seconds((turn.lease_until - now).total_seconds()) if running else None
    return TurnRow(turn, left)


def _require_every_tenant(principal: Principal) -> None:
    if not principal.sees_every_tenant:
        raise PermissionRefused(
            f"this key does not hold {EVERY_TENANT_SCOPE!r}, which `*` does not stand for; create "
            f"one with it: colonnade keys create --scope admin.read --scope {EVERY_TENANT_SCOPE}",
            scope=EVERY_TENANT_SCOPE,
        )
