"""The order in which the deployments that suit are asked."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from core.catalog import Canary, Deployment, Strategy, Tier
from core.identifiers import DeploymentName
from core.routing.asked import Asked
from core.routing.request import RoutingRequest
from core.routing.standing import Standing


@dataclass(frozen=True, slots=True)
class Candidate:
    """A deployment that may serve.

    `max_cost` is for the bounds of tokens, `expected_cost` for the expected prompt and the whole
    output; None is unknown. `notes` say what else than the strategy placed it.
    """

    deployment: Deployment
    max_cost: Decimal | None
    expected_cost: Decimal | None = None
    standing: Standing = Standing()
    notes: tuple[str, ...] = ()


def ranked(
    candidates: Sequence[Candidate], asked: Asked, request: RoutingRequest, draw: float
) -> tuple[Candidate, ...]:
    """Best first. `draw` is uniform in [0, 1); the same draw gives the same order.

    The strategy's order; before it, within the best tier, who holds the prompt in a cache;
    before that who meets the latency objective, the canary's share, who is of the tier that is
    good enough, and at last everyone who does not only quote. Each is a stable sort.
    """
    order = sorted(candidates, key=_by_name)
    if len(order) > 1:
        order = _by_strategy(order, asked, draw)
    order = _holder_first(order, request.holder)
    order = _late_last(order, request)
    order = _canary(order, asked.route.canary if asked.route else None, request.key, draw)
    if len(order) > 1:
        order = sorted(order, key=lambda c: c.deployment.tier < asked.least)
        order.sort(key=lambda c: c.deployment.tier is Tier.EXTRACTIVE)
    return tuple(order)


def _by_name(candidate: Candidate) -> str:
    return candidate.deployment.name


def _by_strategy(order: list[Candidate], asked: Asked, draw: float) -> list[Candidate]:
    match asked.strategy:
        case Strategy.PRIORITY:
            places = {name: place for place, name in enumerate(asked.order or ())}
            last = len(places)
            return sorted(order, key=lambda c: places.get(c.deployment.name, last))
        case Strategy.BEST_TIER:
            return sorted(order, key=lambda c: (-c.deployment.tier, *_cost(c)))
        case Strategy.LOWEST_COST:
            return sorted(order, key=lambda c: (*_cost(c), -c.deployment.tier))
        case Strategy.LOWEST_LATENCY:
            return sorted(order, key=lambda c: c.standing.first_token or 0.0)
        case Strategy.WEIGHTED:
            return _weighted(order, asked.route.weights if asked.route else {}, draw)
        case Strategy.LEAST_OUTSTANDING:
            return _better_of_two(order, draw)


def _cost(candidate: Candidate) -> tuple[bool, Decimal]:
    """Unknown costs come after known ones."""
    cost = candidate.expected_cost
    return cost is None, cost or Decimal(0)


def _weighted(
    order: list[Candidate], weights: Mapping[DeploymentName, float], draw: float
) -> list[Candidate]:
    """Drawn without replacement, each by its weight among those left.

    One draw is enough: where it falls within the chosen one's share is uniform again.
    """
    left, result = list(order), []
    while left:
        shares = [max(0.0, weights.get(c.deployment.name, 1.0)) for c in left]
        point, chosen = draw * sum(shares), 0
        while chosen < len(left) - 1 and point >= shares[chosen]:
            point -= shares[chosen]
            chosen += 1
        draw = min(point / shares[chosen], 1.0) if shares[chosen] else 0.0
        result.append(left.pop(chosen))
    return result


def _better_of_two(order: list[Candidate], draw: float) -> list[Candidate]:
    """Power of two choices (Mitzenmacher 2001): two are drawn, the less busy one is asked.

    Whoever looks at all of them sends everyone to the same.
    """
    if len(order) < 2:
        return order
    point = draw * len(order)
    first = min(int(point), len(order) - 1)
    second = min(int((point - first) * (len(order) - 1)), len(order) - 2)
    one = order[first]
    rest = order[:first] + order[first + 1 :]
    pair = sorted([one, rest.pop(second)], key=_business)
    return [*pair, *sorted(rest, key=_business)]


def _business(candidate: Candidate) -> tuple[int, float]:
    return candidate.standing.outstanding, candidate.standing.first_token or 0.0


def _holder_first(order: list[Candidate], holder: DeploymentName | None) -> list[Candidate]:
    """Who holds the prompt in its cache comes first, unless a better tier is at hand."""
    if holder is None or not order:
        return order
    best = order[0].deployment.tier
    marked = [
        replace(c, notes=(*c.notes, "holds the prompt")) if c.deployment.name == holder else c
        for c in order
    ]
    return sorted(
        marked, key=lambda c: not (c.deployment.name == holder and c.deployment.tier >= best)
    )


def _late_last(order: list[Candidate], request: RoutingRequest) -> list[Candidate]:
    """Who is known to miss the latency objective comes last; what is not known is tried."""
    objective = request.constraints.latency_objective
    if objective is None:
        return order
    in_time, late = [], []
    for candidate in order:
        wait = candidate.standing.first_token
        if wait is not None and wait > objective:
            note = f"first token after {wait:.2f} s, wanted {objective:g}"
            late.append(replace(candidate, notes=(*candidate.notes, note)))
        else:
            in_time.append(candidate)
    return in_time + late


def _canary(
    order: list[Candidate], canary: Canary | None, key: str, draw: float
) -> list[Candidate]:
    """The canary's share of keys goes to it first; for the others it is the last to be asked."""
    if canary is None:
        return order
    chosen = (_place_of(key) if key else draw) < canary.share
    note = "is the canary of this key" if chosen else "is a canary, of other keys"
    marked = [
        replace(c, notes=(*c.notes, note)) if c.deployment.name == canary.deployment else c
        for c in order
    ]
    return sorted(marked, key=lambda c: (c.deployment.name == canary.deployment) is not chosen)


def _place_of(key: str) -> float:
    """A key's fixed place in [0, 1): the same in every process and release."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:6], "big") / 2**48
