"""API keys: what opens the door, kept only as a digest."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime

from core.identifiers import ApiKeyId, TenantId, UserId
from core.principal import Principal

PREFIX = "ck_"
"""Every secret begins so, so that a scanner can find one that leaked."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as stored. `digest` is the SHA-256 of the secret, in hex.

    A plain hash suffices: the secret is 32 random bytes, which nobody can guess.
    """

    id: ApiKeyId
    tenant: TenantId
    user: UserId
    digest: str
    scopes: frozenset[str]
    created_at: datetime
    label: str = ""
    expires_at: datetime | None = None
    revoked_at: datetime | None = None

    def opens(self, now: datetime) -> bool:
        """Whether the key is neither revoked nor expired at `now`."""
        if self.revoked_at is not None:
            return False
        return self.expires_at is None or now < self.expires_at

    def principal(self) -> Principal:
        """Whom this key stands for."""
        return Principal(self.tenant, self.user, self.id, self.scopes)


def secret_from(random_bytes: bytes) -> str:
    """The secret text of a new key; `random_bytes` are at least 32 from a secure source."""
    if len(random_bytes) < 32:
        raise ValueError("a key needs at least 32 random bytes")
    return PREFIX + random_bytes.hex()


def digest_of(secret: str) -> str:
    """What is stored and looked up in the secret's place."""
    return hashlib.sha256(secret.encode()).hexdigest()
