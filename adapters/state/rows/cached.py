"""What may be given again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from adapters.state.encoding.values import columns, micros, time_of
from adapters.state.rows.session import Session
from adapters.state.rows.statements import Statement, insert, select
from core.identifiers import TenantId
from core.ports.cache_rows import CachedRow

StoredRow = tuple[str, str, str, bytes, int, int, int]
_CACHED = columns("tenant kind digest body size_bytes made_at expires_at")
_GET = select(_CACHED, "FROM cached WHERE kind = ?2 AND {digest in ?3} AND {mine}")
_PUT = insert(
    "cached",
    _CACHED,
    "ON CONFLICT (tenant, kind, digest) DO UPDATE SET {replacing}",
    types="text text text bytea bigint bigint bigint".split(),
)
_BOUND = Statement(
    "DELETE FROM cached WHERE kind = ?2 AND {mine} AND digest IN ("
    "SELECT digest FROM (SELECT digest, row_number() OVER newest AS place, "
    "sum(size_bytes) OVER newest AS total FROM cached WHERE kind = ?2 AND {mine} "
    "WINDOW newest AS (ORDER BY made_at DESC, digest)) AS ranked "
    "WHERE place > CAST(?3 AS BIGINT) OR total > CAST(?4 AS BIGINT))"
)
# Materialised: PostgreSQL may run a subquery once for each row, and each run finds others free.
_SWEEP = Statement(
    "WITH old AS MATERIALIZED ("
    "SELECT tenant, kind, digest FROM cached WHERE expires_at <= ?2 AND {mine} "
    "ORDER BY expires_at, tenant, kind, digest LIMIT ?3 {free}) "
    "DELETE FROM cached WHERE (tenant, kind, digest) IN (SELECT tenant, kind, digest FROM old) "
    "RETURNING digest"
)


class SqlCacheRows:
    """See core.ports.cache_rows.CacheRows."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def get(self, kind: str, keys: Sequence[str]) -> Sequence[CachedRow]:
        """See CacheRows.get."""
        self._session.own_tenant()
        texts = self._session.texts(keys)
        return await self._session.all(_row_of, _GET, kind, texts, rows=len(keys))

    def put(self, row: CachedRow) -> None:
        """See CacheRows.put."""
        self._session.write_for(row.tenant, _PUT, _stored(row))

    def bound(self, kind: str, most_rows: int, most_bytes: int) -> None:
        """See CacheRows.bound."""
        self._session.own_tenant()
        self._session.write_scoped(_BOUND, kind, most_rows, most_bytes, rows=most_rows)

    async def sweep(self, now: datetime, limit: int) -> int:
        """See CacheRows.sweep."""
        done = await self._session.changed(_digest, _SWEEP, micros(now), limit, rows=limit)
        return len(done)


def _stored(row: CachedRow) -> StoredRow:
    times = micros(row.made_at), micros(row.expires_at)
    return (row.tenant, row.kind, row.key, row.body, len(row.body), *times)


def _row_of(row: StoredRow) -> CachedRow:
    tenant, kind, key, body, _, made, expires = row
    return CachedRow(TenantId(tenant), kind, key, body, time_of(made), time_of(expires))


def _digest(row: tuple[str]) -> str:
    return row[0]
