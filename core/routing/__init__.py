"""Routing: which deployments may serve a request, in which order, and why not the others."""

from core.routing.decision import RoutingDecision, route
from core.routing.obstacles import Obstacle, max_cost
from core.routing.plan import Rejection
from core.routing.ranking import Candidate
from core.routing.request import (
    RoutingPolicy,
    RoutingRequest,
    TaskClass,
    needed_capabilities,
    needs_of,
)
from core.routing.standing import Rest, Standing, Standings

__all__ = [
    "Candidate",
    "Obstacle",
    "Rejection",
    "Rest",
    "RoutingDecision",
    "RoutingPolicy",
    "RoutingRequest",
    "Standing",
    "Standings",
    "TaskClass",
    "max_cost",
    "needed_capabilities",
    "needs_of",
    "route",
]
