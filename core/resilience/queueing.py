"""A bounded queue for calls that wait for their turn, fair between tenants."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Generic, TypeVar

from core.identifiers import TenantId

Item = TypeVar("Item")

_REMEMBERED = 256


class FairQueue(Generic[Item]):
    """Each tenant has a line of its own; who has the least under way is next.

    When it is full, whoever came last in the longest line has to go: one tenant's crowd never
    keeps another's single call out. `length` is how many wait.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._lines: dict[TenantId, deque[Item]] = {}
        self.length = 0
        self._served: dict[TenantId, int] = {}
        self._turn = 0

    def put(self, tenant: TenantId, item: Item) -> Item | None:
        """Join the line. Returns who has to go for it, which may be the item itself."""
        if self.length < self.size:
            self._append(tenant, item)
            return None
        mine = len(self._lines.get(tenant, ()))
        longest = max(self._lines, key=lambda t: len(self._lines[t]), default=tenant)
        if not self._lines or len(self._lines[longest]) <= mine + 1:
            return item
        turned_away = self._lines[longest].pop()
        self._shrunk(longest)
        self._append(tenant, item)
        return turned_away

    def next(self, under_way: Mapping[TenantId, int]) -> tuple[TenantId, Item] | None:
        """Whose turn it is: of the tenant with the least under way, and of those the first.

        Where several have as little, the one whose last turn was longest ago.
        """
        if not self._lines:
            return None
        tenant = min(self._lines, key=lambda t: (under_way.get(t, 0), self._served.get(t, 0), t))
        return tenant, self._lines[tenant][0]

    def take(self, under_way: Mapping[TenantId, int]) -> tuple[TenantId, Item] | None:
        """The next one, who leaves the line."""
        following = self.next(under_way)
        if following is None:
            return None
        tenant, item = following
        self._lines[tenant].popleft()
        self._turn += 1
        self._served[tenant] = self._turn
        self._shrunk(tenant)
        return tenant, item

    def leave(self, tenant: TenantId, item: Item) -> bool:
        """Give up waiting; False where it no longer waits."""
        line = self._lines.get(tenant)
        if line is None or item not in line:
            return False
        line.remove(item)
        self._shrunk(tenant)
        return True

    def _append(self, tenant: TenantId, item: Item) -> None:
        self._lines.setdefault(tenant, deque()).append(item)
        self.length += 1

    def _shrunk(self, tenant: TenantId) -> None:
        """One less. Who was served when is remembered of those who wait, and of a few others."""
        self.length -= 1
        if not self._lines[tenant]:
            del self._lines[tenant]
        if len(self._served) > 2 * len(self._lines) + _REMEMBERED:
            self._served = {t: at for t, at in self._served.items() if t in self._lines}
