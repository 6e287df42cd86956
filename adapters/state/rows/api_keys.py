"""API keys."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from adapters.state.encoding.conversations import API_KEY, api_key_of, api_key_row
from adapters.state.encoding.values import micros
from adapters.state.rows.session import MANY_ROWS, Session
from adapters.state.rows.statements import Statement, insert, select
from core.api_keys import ApiKey
from core.identifiers import ApiKeyId

_FIND = select(API_KEY, "FROM api_key WHERE digest = ?2 AND {mine}")
_LIST = select(API_KEY, "FROM api_key WHERE {mine} ORDER BY created_at, id")
_INSERT = insert("api_key", API_KEY)
_REVOKE = Statement(
    "UPDATE api_key SET revoked_at = coalesce(revoked_at, ?3) WHERE id = ?2 AND {mine}"
)


class SqlApiKeyRows:
    """See core.ports.api_key_rows.ApiKeyRows."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def find(self, digest: str) -> ApiKey | None:
        """See ApiKeyRows.find."""
        if self._session.tenant is not None:
            raise ValueError("a key is looked up before its tenant is known")
        return await self._session.one(api_key_of, _FIND, digest)

    async def list(self) -> Sequence[ApiKey]:
        """See ApiKeyRows.list."""
        return await self._session.all(api_key_of, _LIST, rows=MANY_ROWS)

    def insert(self, key: ApiKey) -> None:
        """See ApiKeyRows.insert."""
        self._session.write_for(key.tenant, _INSERT, api_key_row(key))

    def revoke(self, key: ApiKeyId, at: datetime) -> None:
        """See ApiKeyRows.revoke."""
        self._session.write_scoped(_REVOKE, key, micros(at))
