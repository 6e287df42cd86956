"""What operators watch, counted with prometheus_client: calls, commits, leases, notices.

No label is made of what callers send: methods, statuses and causes are few and known. Tenants
and users are in the log.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from adapters.telemetry.cache_metrics import CacheMetrics
from adapters.telemetry.gateway_metrics import GatewayMetrics
from core.identifiers import Seconds
from core.ports.telemetry import CallLine
from core.ports.turn_observer import TakeOver

_CALL_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
_COMMIT_S = (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0)
_BATCH = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


class Metrics:
    """Takes facts, counts them in memory and returns: microseconds, no lock that is held long.

    It is a Measures: of calls, turns, the gateway and its caches, the bus, budgets.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._calls = _CallMetrics(self.registry)
        self._turns = _TurnMetrics(self.registry)
        self._bus = _BusMetrics(self.registry)
        gateway = GatewayMetrics(self.registry)
        self.attempt_ended = gateway.attempt_ended
        self.answered_without_call = gateway.answered_without_call
        self.key_rested = gateway.key_rested
        caches = CacheMetrics(self.registry)
        self.cache_looked_up = caches.cache_looked_up
        self.cache_dropped = caches.cache_dropped
        self._budget_alerts = Counter(
            "colonnade_budget_alerts",
            "Shares of budgets that were reached, by the budget's rule; told by one process each.",
            ["budget", "threshold"],
            registry=self.registry,
        )

    def call_ended(self, line: CallLine) -> None:
        """Count the call by method and status, with its latency."""
        ended, seconds, first = self._calls.of(line.method, line.status)
        ended.inc()
        seconds.observe(line.latency_ms / 1000)
        if line.first_message_ms is not None:
            first.observe(line.first_message_ms / 1000)

    def bug(self) -> None:
        """Count an error of the server's own."""
        self._calls.bugs.inc()

    def committed(self, seconds: Seconds, runs: int, events: int) -> None:
        """See TurnObserver."""
        self._turns.commit.observe(seconds)
        self._turns.runs.observe(runs)
        self._turns.events.observe(events)

    def took_over(self, why: TakeOver) -> None:
        """See TurnObserver."""
        self._turns.take_overs.labels(why.value).inc()

    def lease_age(self, seconds: Seconds) -> None:
        """See TurnObserver."""
        self._turns.oldest_lease.report(seconds)

    def held_back(self, output: int) -> None:
        """See TurnObserver."""
        self._turns.held_back.set(output)

    def reader_lagged(self) -> None:
        """See TurnObserver."""
        self._turns.lagged.inc()

    def watch_running(self, count: Callable[[], int]) -> None:
        """Ask for the number of turns that run here whenever somebody looks.

        Called on a thread of its own: it may only read.
        """
        self._turns.running.set_function(count)

    def budget_alert(self, budget: str, threshold: str) -> None:
        """What was spent by a rule of this name has reached this share of its limit."""
        self._budget_alerts.labels(budget, threshold).inc()

    def notice_dropped(self) -> None:
        """The bus could not take or send a notice."""
        self._bus.dropped.inc()

    def bus_connected(self) -> None:
        """Notices go between replicas."""
        self._bus.connected.set(1)

    def bus_disconnected(self) -> None:
        """Notices stay in this replica for now."""
        self._bus.connected.set(0)
        self._bus.losses.inc()


class _CallMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self.ended = Counter(
            "colonnade_calls", "Calls that ended.", ["method", "status"], registry=registry
        )
        self.seconds = Histogram(
            "colonnade_call_seconds",
            "How long calls took, streams to their end.",
            ["method"],
            buckets=_CALL_S,
            registry=registry,
        )
        self.first = Histogram(
            "colonnade_call_first_message_seconds",
            "How long it took until the first message of an answer went out.",
            ["method"],
            buckets=_CALL_S,
            registry=registry,
        )
        self.bugs = Counter("colonnade_bugs", "Errors of the server's own.", registry=registry)
        self._known: dict[tuple[str, str], tuple[Counter, Histogram, Histogram]] = {}

    def of(self, method: str, status: str) -> tuple[Counter, Histogram, Histogram]:
        """Count, latency and first message of a method and status; looking labels up is slow."""
        found = self._known.get((method, status))
        if found is None:
            seconds, first = self.seconds.labels(method), self.first.labels(method)
            found = self.ended.labels(method, status), seconds, first
            self._known[method, status] = found
        return found


class _Growing:
    """An age that was reported, and grows until the next report: also while the loop hangs."""

    def __init__(self) -> None:
        self._born: float | None = None

    def report(self, age: float) -> None:
        """It is so old now; 0: there is nothing that ages."""
        self._born = time.monotonic() - age if age else None

    def now(self) -> float:
        """How old it is, on whichever thread it is asked."""
        born = self._born
        return 0.0 if born is None else time.monotonic() - born


class _TurnMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self.oldest_lease = _Growing()
        self.commit = Histogram(
            "colonnade_commit_seconds",
            "How long a group commit of running turns took.",
            buckets=_COMMIT_S,
            registry=registry,
        )
        self.runs = Histogram(
            "colonnade_commit_runs", "Runs a group commit.", buckets=_BATCH, registry=registry
        )
        self.events = Histogram(
            "colonnade_commit_events", "Events a group commit.", buckets=_BATCH, registry=registry
        )
        self.take_overs = Counter(
            "colonnade_take_overs",
            "Turns that this replica settled for another.",
            ["why"],
            registry=registry,
        )
        for why in TakeOver:
            self.take_overs.labels(why.value)
        lease_age = Gauge(
            "colonnade_lease_age_seconds",
            "The longest time since a run of this replica renewed its lease.",
            registry=registry,
        )
        lease_age.set_function(self.oldest_lease.now)
        self.held_back = Gauge(
            "colonnade_held_back_bytes",
            "Output that waits for a store that cannot be reached.",
            registry=registry,
        )
        self.lagged = Counter(
            "colonnade_readers_lagged",
            "Readers that fell behind the tail in memory and went on from the log.",
            registry=registry,
        )
        self.running = Gauge(
            "colonnade_running_turns", "Turns that run on this replica.", registry=registry
        )


class _BusMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self.dropped = Counter(
            "colonnade_notices_dropped",
            "Notices to other replicas that were not sent.",
            registry=registry,
        )
        self.connected = Gauge(
            "colonnade_bus_connected",
            "1 while notices go between replicas; 0 also where no bus is set.",
            registry=registry,
        )
        self.losses = Counter(
            "colonnade_bus_disconnections",
            "Connections to the bus that were lost, and each new cause why there is none.",
            registry=registry,
        )
