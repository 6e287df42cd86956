"""The catalog together with what serves each of its entries."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from core.catalog import Catalog, Deployment
from core.identifiers import DeploymentName
from core.ports.language_model import LanguageModel
from core.routing import RoutingDecision, RoutingPolicy, RoutingRequest
from core.routing.decision import Bearing, decide, sole_choice
from core.routing.plan import RoutingPlan, plan_of, shape_of

_MOST_PLANS = 1024
"""Shapes of requests that a snapshot remembers at most; a caller's limit may make one of any."""


class Users:
    """How many work with a snapshot at this moment, and what is done when none does.

    Who works with it does so within a `with` of this, or enters and leaves once.
    """

    __slots__ = ("count", "gone")

    def __init__(self) -> None:
        self.count = 0
        self.gone: Callable[[], None] | None = None

    def enter(self) -> None:
        """One more works with it."""
        self.count += 1

    def leave(self) -> None:
        """One less does."""
        self.count -= 1
        if not self.count and self.gone is not None:
            self.gone()

    def __enter__(self) -> None:
        self.enter()

    def __exit__(self, *_: object) -> None:
        self.leave()


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan, and its decision where it leaves no choice: see `sole_choice`."""

    plan: RoutingPlan
    sole: RoutingDecision | None


@dataclass(frozen=True, slots=True)
class Deployments:
    """One immutable snapshot: who serves what, and how work is routed to it."""

    catalog: Catalog
    models: Mapping[DeploymentName, LanguageModel]
    policy: RoutingPolicy = field(default_factory=RoutingPolicy)
    users: Users = field(default_factory=Users, compare=False, repr=False)
    _plans: dict[Hashable, Planned] = field(default_factory=dict, compare=False, repr=False)

    def deployment(self, name: DeploymentName) -> Deployment | None:
        """The entry of this name; None for one that has left the catalog."""
        return self.catalog.deployments.get(name)

    def decide(self, request: RoutingRequest, bearing: Bearing, draw: float) -> RoutingDecision:
        """`core.routing.route` by this snapshot."""
        return decide(self.planned(request).plan, request, bearing, draw)

    def planned(self, request: RoutingRequest) -> Planned:
        """What lasts of the decision, which is remembered for all requests of its shape.

        Most that an installation gets are of a few. Raises NotFound as `route`.
        """
        shape = shape_of(request)
        planned = self._plans.get(shape)
        if planned is None:
            if len(self._plans) >= _MOST_PLANS:
                self._plans.clear()
            plan = plan_of(self.catalog, request, self.policy)
            planned = self._plans[shape] = Planned(plan, sole_choice(plan))
        return planned

    def in_use(self) -> AbstractContextManager[None]:
        """Within it, no model of the snapshot is closed by a reload."""
        return self.users


class LiveDeployments:
    """The snapshot in use. A reload swaps it whole; who works with the old one ends with it."""

    def __init__(self, deployments: Deployments) -> None:
        self._current = deployments
        self._retired: list[Deployments] = []
        self._closing: set[asyncio.Task[None]] = set()

    def current(self) -> Deployments:
        """The snapshot that a new request gets."""
        return self._current

    def deployment(self, name: DeploymentName) -> Deployment | None:
        """The entry of this name in the current snapshot."""
        return self._current.deployment(name)

    def swap(self, deployments: Deployments) -> None:
        """Let new requests have this one. Models that are in no snapshot any more are closed.

        That is when the last of those who work with theirs has ended.
        """
        old, self._current = self._current, deployments
        self._retired.append(old)
        old.users.gone = lambda: self._retire(old)
        if not old.users.count:
            self._retire(old)

    async def close(self) -> None:
        """Close every model."""
        for task in list(self._closing):
            await task
        for model in _models(self._current, *self._retired):
            await model.close()

    def _retire(self, old: Deployments) -> None:
        old.users.gone = None
        self._retired.remove(old)
        kept = {id(model) for model in _models(self._current, *self._retired)}
        left = [model for model in _models(old) if id(model) not in kept]
        if left:
            task = asyncio.get_running_loop().create_task(_close(left))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)


async def _close(models: list[LanguageModel]) -> None:
    for model in models:
        await model.close()


def _models(*snapshots: Deployments) -> list[LanguageModel]:
    """Each model once."""
    each = (model for snapshot in snapshots for model in snapshot.models.values())
    return list({id(model): model for model in each}.values())
