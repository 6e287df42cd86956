"""The state's rows of what may be given again: answers and vectors, by a digest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from core.identifiers import TenantId


@dataclass(frozen=True, slots=True)
class CachedRow:
    """One value of a tenant's. `kind` says whose `body` it is, who also reads its format.

    `key` is a digest, never the request's own words. At `expires_at` it may be swept.
    """

    tenant: TenantId
    kind: str
    key: str
    body: bytes
    made_at: datetime
    expires_at: datetime


class CacheRows(Protocol):
    """Values that nobody misses: a reader looks at their times and format by itself."""

    async def get(self, kind: str, keys: Sequence[str]) -> Sequence[CachedRow]:
        """The tenant's rows of these keys that are there, in any order. For one tenant only."""

    def put(self, row: CachedRow) -> None:
        """Write it, in place of the one that was there."""

    def bound(self, kind: str, most_rows: int, most_bytes: int) -> None:
        """Delete the tenant's oldest rows beyond so many, or so many bytes. For one tenant only."""

    async def sweep(self, now: datetime, limit: int) -> int:
        """Delete up to `limit` rows that have expired; how many those were."""
