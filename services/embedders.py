"""The embedders of this process, by the names that collections record."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from core.call import Call
from core.catalog import Deployment, Tier
from core.errors import FeatureUnsupported, NotFound
from core.identifiers import DeploymentName, EmbedderName
from core.ports.embedder import Embedder
from core.prices import Prices

Paying = Callable[[Call, Embedder, str], Embedder]
"""The embedder for a caller who pays for what it embeds, booked under a feature."""


def unpaid(_: Call, embedder: Embedder, __: str) -> Embedder:
    """Where nobody keeps books."""
    return embedder


class Embedders:
    """Finds an embedder by its exact name, or by an alias of the settings."""

    def __init__(
        self,
        by_alias: Mapping[str, Embedder],
        default: str,
        prices: Mapping[str, Prices] | None = None,
    ) -> None:
        self.by_alias = dict(by_alias)
        self._prices = dict(prices or {})
        self.default = self.by_alias[default]
        self._by_name = {embedder.name: embedder for embedder in by_alias.values()}

    def get(self, name: EmbedderName | str) -> Embedder:
        """The embedder that a collection or a caller names; "" is the default.

        Raises FeatureUnsupported where this process has none of that name.
        """
        if not name:
            return self.default
        found = self._find(name)
        if found is None:
            known = ", ".join(sorted(self.by_alias))
            raise FeatureUnsupported(
                f"this server has no embedder {name!r}; it has: {known}", feature="embedder"
            )
        return found

    def named(self, name: str) -> Embedder:
        """The embedder that a caller names as a model; "" is the default. Raises NotFound."""
        found = self._find(name) if name else self.default
        if found is None:
            raise NotFound("model", name)
        return found

    def entry(self, embedder: Embedder) -> Deployment:
        """What the embedder is booked as: under its exact name, at its alias's price."""
        alias = next((a for a, each in self.by_alias.items() if each is embedder), "")
        return Deployment(
            name=DeploymentName(alias or embedder.name),
            model=embedder.name,
            provider="embedder",
            tier=Tier.SMALL,
            context_window=0,
            max_output_tokens=0,
            prices=self._prices.get(alias, Prices()),
        )

    def _find(self, name: str) -> Embedder | None:
        return self._by_name.get(EmbedderName(name)) or self.by_alias.get(name)
