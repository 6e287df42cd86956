"""The wall between tenants that stands before every write, whatever the store."""

from __future__ import annotations

from core.identifiers import TenantId
from core.ports.state import Scope


class Tenancy:
    """Whose rows a session may touch: one tenant's, or everybody's (`tenant` None)."""

    __slots__ = ("tenant",)

    def __init__(self, scope: Scope) -> None:
        self.tenant: TenantId | None = scope if isinstance(scope, str) else None

    def admit(self, tenant: TenantId) -> None:
        """Refuse to write another tenant's row: ValueError."""
        if self.tenant is not None and tenant != self.tenant:
            raise ValueError("the row belongs to another tenant than the transaction's scope")

    def own_tenant(self) -> TenantId:
        """The scope's tenant; ValueError where a method cannot do without one."""
        if self.tenant is None:
            raise ValueError("this needs the scope of one tenant")
        return self.tenant
