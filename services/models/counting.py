"""Counts by the models of this process."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from core.errors import FeatureUnsupported
from core.messages import Message
from core.routing import RoutingRequest, TaskClass, route
from services.models.deployments import Deployments


class DeploymentCounter:
    """The TokenCounter of a process that hosts its own deployments."""

    def __init__(self, deployments: Callable[[], Deployments]) -> None:
        self._deployments = deployments

    async def count(self, messages: Sequence[Message], model: str) -> int:
        """See TokenCounter."""
        deployments = self._deployments()
        wanted = RoutingRequest(TaskClass.CHAT, model)
        decision = route(deployments.catalog, wanted, deployments.policy)
        if not decision.candidates:
            raise FeatureUnsupported(
                f"no deployment counts for this: {decision.explanation()}", feature="count_tokens"
            )
        counter = deployments.models[decision.candidates[0].deployment.name]
        with deployments.in_use():
            return await counter.count_tokens(messages)
