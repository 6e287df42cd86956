"""The catalog together with what serves each of its entries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from core.generation import Catalog, Deployment
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
