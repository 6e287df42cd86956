"""What was booked, told apart by who spent: sums of the ledger, exact."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from core.budgets.rules import Spender, Subject
from core.call import Call
from core.errors import InvalidInput
from core.identifiers import TenantId
from core.ports.state import EVERY_TENANT, Scope, State
from core.principal import EVERY_TENANT_SCOPE
from core.turns.rows import LedgerLine

_PAGE = 1_000
MOST = 1_000
"""Entries of one report."""


@dataclass(slots=True)
class Spent:
    """The lines of one value in one currency; `cost` is of those whose price is known."""

    tenant: TenantId
    value: str
    currency: str
    cost: Decimal = Decimal(0)
    calls: int = 0
    unpriced: int = 0
    estimated: int = 0

    def add(self, line: LedgerLine) -> None:
        """One line more."""
        self.calls += 1
        self.estimated += line.estimated
        if line.cost is None:
            self.unpriced += 1
        else:
            self.cost += line.cost


class SpendingReport:
    """Reads the ledger of a caller's tenant, or of all where its key says so by name.

    A page is read at a time, so that a long one holds nothing up.
    """

    def __init__(self, state: State) -> None:
        self._state = state

    async def by(
        self,
        call: Call,
        subject: Subject,
        since: datetime | None,
        before: datetime | None,
        *,
        all_tenants: bool = False,
    ) -> Sequence[Spent]:
        """The dearest first, at most MOST. None: from this month's beginning, until now.

        Raises InvalidInput for a time that ends before it begins, and PermissionRefused where the
        key does not see all tenants, and they are asked for.
        """
        scope: Scope = call.principal.tenant
        if all_tenants:
            call.principal.require(EVERY_TENANT_SCOPE)
            scope = EVERY_TENANT
        async with self._state.snapshot(scope) as view:
            now = view.now
        month = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        first, end = since or month, before or now
        if first > end:
            raise InvalidInput.at("end_time", "must not be before start_time")
        found = await self._sums(scope, subject, first, end)
        ordered = sorted(found.values(), key=lambda spent: (-spent.cost, spent.tenant, spent.value))
        return ordered[:MOST]

    async def _sums(
        self, scope: Scope, subject: Subject, since: datetime, before: datetime
    ) -> dict[tuple[TenantId, str, str], Spent]:
        found: dict[tuple[TenantId, str, str], Spent] = {}
        after: tuple[datetime, str, int] | None = None
        while True:
            async with self._state.snapshot(scope) as view:
                lines = await view.spending.booked(since, before, _PAGE, after)
            for line in lines:
                value = _spender(line).value(subject)
                key = (line.tenant, value, line.currency)
                found.setdefault(key, Spent(*key)).add(line)
            if len(lines) < _PAGE:
                return found
            after = (lines[-1].booked_at, lines[-1].unit, lines[-1].attempt)


def _spender(line: LedgerLine) -> Spender:
    return Spender(line.tenant, line.user, line.feature, line.deployment, line.key)
