"""The state's rows about API keys."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from core.api_keys import ApiKey
from core.identifiers import ApiKeyId


class ApiKeyRows(Protocol):
    """API keys: only their digests are kept."""

    async def find(self, digest: str) -> ApiKey | None:
        """The key with this digest, whatever its tenant; needs the scope EVERY_TENANT."""

    async def list(self) -> Sequence[ApiKey]:
        """The scope's keys, oldest first."""

    def insert(self, key: ApiKey) -> None:
        """A new key; StoreConflict where the digest is taken."""

    def revoke(self, key: ApiKeyId, at: datetime) -> None:
        """It opens nothing any more. Idempotent."""
