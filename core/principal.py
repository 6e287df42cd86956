"""Who calls, and what they may do."""

from __future__ import annotations

from dataclasses import dataclass, field

from core.errors import PermissionRefused
from core.identifiers import ApiKeyId, TenantId, UserId

EVERY_SCOPE = "*"
EVERY_TENANT_SCOPE = "admin.every-tenant"
"""What lets an operator look beyond its own tenant. `*` does not stand for it."""
DELEGATE_SCOPE = "mesh.delegate"
"""What lets a process of the installation call another for any principal. Nor for this."""
CONFIGURE_SCOPE = "admin.config"
"""What lets an operator have the installation's settings read again. Nor for this."""
BY_NAME_ONLY = frozenset({EVERY_TENANT_SCOPE, DELEGATE_SCOPE, CONFIGURE_SCOPE})
"""Scopes beyond a tenant's own: only who was given one by its name has it."""


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated caller. `user` is the idempotency principal, whatever key was used."""

    tenant: TenantId
    user: UserId
    key: ApiKeyId
    scopes: frozenset[str] = field(default_factory=frozenset)

    def may(self, scope: str) -> bool:
        """Whether this caller holds `scope`. `*` is every scope within the key's own tenant."""
        return scope in self.scopes or (EVERY_SCOPE in self.scopes and scope not in BY_NAME_ONLY)

    @property
    def sees_every_tenant(self) -> bool:
        """Whether this caller was given the whole installation, by name."""
        return EVERY_TENANT_SCOPE in self.scopes

    def require(self, scope: str) -> None:
        """Raise PermissionRefused unless this caller holds `scope`."""
        if not self.may(scope):
            raise PermissionRefused(
                f"this key lacks the scope {scope!r}; create one with it: "
                f"colonnade keys create --scope {scope}",
                scope=scope,
            )
