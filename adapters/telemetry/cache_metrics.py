"""What the caches' rows in the state did, counted with prometheus_client."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter

from core.ports.cache_observer import LookUp


class CacheMetrics:
    """It is a CacheObserver."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._looked_up = Counter(
            "colonnade_shared_cache_lookups",
            "Answers and vectors that were looked for in the state, as the process had none.",
            ["kind", "outcome"],
            registry=registry,
        )
        self._dropped = Counter(
            "colonnade_shared_cache_dropped",
            "Answers and vectors that were not written to the state.",
            ["kind"],
            registry=registry,
        )

    def cache_looked_up(self, kind: str, outcome: LookUp, count: int) -> None:
        """See CacheObserver."""
        self._looked_up.labels(kind, outcome.value).inc(count)

    def cache_dropped(self, kind: str, count: int) -> None:
        """See CacheObserver."""
        self._dropped.labels(kind).inc(count)
