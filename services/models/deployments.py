"""The catalog together with what serves each of its entries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from core.catalog import Catalog, Deployment
from core.identifiers import DeploymentName
from core.ports.language_model import LanguageModel
from core.routing import RoutingPolicy


@dataclass(frozen=True, slots=True)
class Deployments:
    """One immutable snapshot: who serves what, and how work is routed to it."""

    catalog: Catalog
    models: Mapping[DeploymentName, LanguageModel]
    policy: RoutingPolicy = field(default_factory=RoutingPolicy)

    def deployment(self, name: DeploymentName) -> Deployment | None:
        """The entry of this name; None for one that has left the catalog."""
        return self.catalog.deployments.get(name)

    async def close(self) -> None:
        """Close every model."""
        for model in self.models.values():
            await model.close()


class LiveDeployments:
    """The snapshot in use. A reload swaps it whole; who holds the old one ends with it."""

    def __init__(self, deployments: Deployments) -> None:
        self._current = deployments

    def current(self) -> Deployments:
        """The snapshot that a new request gets."""
        return self._current

    def deployment(self, name: DeploymentName) -> Deployment | None:
        """The entry of this name in the current snapshot."""
        return self._current.deployment(name)

    async def close(self) -> None:
        """Close every model."""
        await self._current.close()
