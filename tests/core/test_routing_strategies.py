"""The order of candidates: by each strategy, and what goes before it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.catalog import Canary, Catalog, Deployment, FallbackCause, Route, Strategy, Tier
from core.generation import Constraints
from core.identifiers import DeploymentName, Seconds
from core.prices import Prices
from core.routing import (
    Obstacle,
    Rest,
    RoutingDecision,
    RoutingPolicy,
    RoutingRequest,
    Standing,
    Standings,
    TaskClass,
    route,
)

POLICY = RoutingPolicy()


def deployment(name: str, price: str = "1", tier: Tier = Tier.SMALL) -> Deployment:
    prices = Prices(Decimal(price), Decimal(price))
    return Deployment(DeploymentName(name), f"m-{name}", "p", tier, 4_000, 500, prices=prices)


A, B, C, D = (deployment(name, price) for name, price in zip("abcd", "4321", strict=True))


def catalog(*deployments: Deployment, way: Route | None = None) -> Catalog:
    return Catalog({d.name: d for d in deployments}, {way.name: way} if way else {})


def on(strategy: Strategy, *names: str, **more: object) -> Route:
    candidates = tuple(map(DeploymentName, names or "abcd"))
    return Route("way", candidates, strategy, **more)  # type: ignore[arg-type]


def names(decision: RoutingDecision) -> str:
    return "".join(candidate.deployment.name for candidate in decision.candidates)


def ask(way: Route, draw: float = 0.0, standings: Standings | None = None, **more: object) -> str:
    request = RoutingRequest(TaskClass.CHAT, model="way", **more)  # type: ignore[arg-type]
    return names(route(catalog(A, B, C, D, way=way), request, POLICY, standings, draw))


def standing(first_token: float | None = None, outstanding: int = 0) -> Standing:
    return Standing(outstanding, None if first_token is None else Seconds(first_token))


def at(**standings: Standing) -> Standings:
    return {DeploymentName(name): each for name, each in standings.items()}


def test_priority_is_the_order_of_the_list() -> None:
    assert ask(on(Strategy.PRIORITY, *"cadb")) == "cadb"


def test_lowest_cost_among_those_that_meet_the_latency_objective() -> None:
    way = on(Strategy.LOWEST_COST)
    slow = at(d=standing(3.0), c=standing(0.5))
    assert ask(way) == "dcba"
    wanted = Constraints(latency_objective=Seconds(1.0))
    assert ask(way, standings=slow, constraints=wanted) == "cbad"


def test_a_simple_task_without_a_route_goes_to_the_cheapest_that_is_good_enough() -> None:
    tiny = deployment("t", "0", Tier.TINY)
    strong = deployment("s", "9", Tier.STRONG)
    for task, order in ((TaskClass.SUMMARISATION, "dast"), (TaskClass.REASONING, "sdat")):
        found = route(catalog(A, D, tiny, strong), RoutingRequest(task), POLICY)
        assert names(found) == order


def test_lowest_latency_tries_what_it_does_not_know() -> None:
    seen = at(a=standing(0.3), b=standing(0.1), c=standing(0.2))
    assert ask(on(Strategy.LOWEST_LATENCY), standings=seen) == "dbca"


@pytest.mark.parametrize(("draw", "first"), [(0.0, "a"), (0.49, "a"), (0.5, "b"), (0.99, "c")])
def test_weights_are_shares_of_the_draw(draw: float, first: str) -> None:
    weights = {DeploymentName("a"): 5, DeploymentName("b"): 3, DeploymentName("c"): 2}
    way = on(Strategy.WEIGHTED, *"abc", weights=weights)
    assert ask(way, draw)[0] == first


def test_over_many_draws_each_gets_its_share_of_every_place() -> None:
    weights = {DeploymentName("a"): 3.0, DeploymentName("b"): 1.0, DeploymentName("c"): 0.0}
    way = on(Strategy.WEIGHTED, *"abc", weights=weights)
    seen = Counter(ask(way, draw / 1000) for draw in range(1000))
    assert seen == {"abc": 750, "bac": 250}


def test_of_two_that_are_drawn_the_less_busy_is_asked() -> None:
    busy = at(a=standing(outstanding=9), b=standing(outstanding=1), c=standing(outstanding=5))
    way = on(Strategy.LEAST_OUTSTANDING, *"abc")
    firsts = Counter(ask(way, draw / 600, busy)[0] for draw in range(600))
    assert firsts == {"b": 400, "c": 200}  # a never: whoever it is drawn with is less busy


def test_a_canary_gets_its_share_of_keys_and_each_key_stays() -> None:
    way = on(Strategy.PRIORITY, *"abc", canary=Canary(DeploymentName("c"), 0.2))
    first = {key: ask(way, key=f"talk-{key}")[0] for key in range(500)}
    assert 60 < Counter(first.values())["c"] < 140
    assert all(ask(way, 0.9, key=f"talk-{key}")[0] == name for key, name in first.items())
    others = [key for key, name in first.items() if name == "a"]
    assert ask(way, key=f"talk-{others[0]}") == "abc"


def test_a_conversation_stays_where_its_prompt_is_cached() -> None:
    way = on(Strategy.LEAST_OUTSTANDING)
    assert ask(way, 0.3, holder=DeploymentName("c"))[0] == "c"
    strong = deployment("s", "9", Tier.STRONG)
    request = RoutingRequest(TaskClass.CHAT, holder=DeploymentName("a"))
    assert names(route(catalog(A, D, strong), request, POLICY)) == "sda"


class TestRest:
    def test_who_rests_is_not_asked_and_it_is_told_until_when(self) -> None:
        resting = at(a=Standing(rest=Rest("overloaded", Seconds(3))))
        found = route(catalog(A, B), RoutingRequest(TaskClass.CHAT), POLICY, resting)
        assert names(found) == "b"
        assert found.rejected[0].obstacle is Obstacle.RESTING
        assert found.again_in == Seconds(3)
        assert "again in 3.0 s" in found.explanation()

    def test_where_all_rest_those_that_may_are_asked_all_the_same(self) -> None:
        resting = at(
            a=Standing(rest=Rest("overloaded", Seconds(3))),
            b=Standing(rest=Rest("authentication", Seconds(60), must=True)),
        )
        found = route(catalog(A, B), RoutingRequest(TaskClass.CHAT), POLICY, resting)
        assert (names(found), found.all_rest) == ("a", True)
        alone = route(catalog(B), RoutingRequest(TaskClass.CHAT), POLICY, resting)
        assert (names(alone), alone.again_in) == ("", Seconds(60))

    def test_rest_does_not_lift_a_constraint(self) -> None:
        resting = at(a=Standing(rest=Rest("down", Seconds(3))))
        wanted = RoutingRequest(TaskClass.CHAT, constraints=Constraints(residency="eu"))
        assert names(route(catalog(A, B), wanted, POLICY, resting)) == ""


def test_a_chain_holds_whom_the_constraints_let_through() -> None:
    chain = tuple(map(DeploymentName, ("c", "d", "gone")))
    way = on(Strategy.PRIORITY, "a", fallbacks={FallbackCause.CONTEXT_WINDOW: chain})
    limit = Constraints(max_cost=Decimal("0.0005"))
    request = RoutingRequest(TaskClass.CHAT, model="way", output_tokens=500)
    found = route(catalog(A, B, C, D, way=way), request, POLICY)
    assert [c.deployment.name for c in found.fallbacks[FallbackCause.CONTEXT_WINDOW]] == ["c", "d"]
    cheap = RoutingRequest(TaskClass.CHAT, model="way", constraints=limit, output_tokens=500)
    found = route(catalog(A, B, C, D, way=way), cheap, POLICY)
    assert [c.deployment.name for c in found.fallbacks[FallbackCause.CONTEXT_WINDOW]] == ["d"]


STANDINGS = st.builds(
    Standing,
    outstanding=st.integers(0, 9),
    first_token=st.none() | st.floats(0, 5),
    rest=st.none() | st.builds(Rest, st.just("down"), st.floats(0.1, 9), st.booleans()),
)
LABELS = st.frozensets(st.sampled_from(["no-training", "health"]))
DEPLOYMENTS = st.builds(
    lambda n, price, tier, residency, labels: replace(
        deployment(n, str(price), tier), residency=residency, labels=labels
    ),
    st.sampled_from("abcdefgh"),
    st.integers(0, 5),
    st.sampled_from([Tier.TINY, Tier.SMALL, Tier.STRONG]),
    st.sampled_from(["", "eu"]),
    LABELS,
)


@settings(max_examples=300)
@given(
    deployments=st.lists(DEPLOYMENTS, min_size=1, max_size=6, unique_by=lambda d: d.name),
    strategy=st.sampled_from(list(Strategy)),
    draw=st.floats(0, 1, exclude_max=True),
    constraints=st.builds(
        Constraints,
        max_cost=st.none() | st.decimals(0, "0.003", places=4),
        latency_objective=st.none() | st.floats(0.1, 5),
        tier=st.none() | st.sampled_from(list(Tier)),
        residency=st.sampled_from(["", "eu"]),
        labels=LABELS,
    ),
    data=st.data(),
)
def test_whatever_the_strategy_no_constraint_is_broken_and_the_draw_decides_alone(
    deployments: list[Deployment],
    strategy: Strategy,
    draw: float,
    constraints: Constraints,
    data: st.DataObject,
) -> None:
    known = {d.name: data.draw(STANDINGS) for d in deployments}
    canary = Canary(data.draw(st.sampled_from(deployments)).name, data.draw(st.floats(0, 1)))
    way = Route("way", tuple(d.name for d in deployments), strategy, canary=canary)
    request = RoutingRequest(
        TaskClass.CHAT, "way", constraints, key=data.draw(st.sampled_from(["", "k"]))
    )
    found = route(catalog(*deployments, way=way), request, POLICY, known, draw)
    again = route(catalog(*reversed(deployments), way=way), request, POLICY, known, draw)
    assert found == again
    told = [c.deployment.name for c in found.candidates] + [r.deployment for r in found.rejected]
    assert sorted(told) == sorted(d.name for d in deployments)
    for candidate in found.candidates:
        chosen, rest = candidate.deployment, candidate.standing.rest
        assert constraints.residency in ("", chosen.residency)
        assert constraints.labels <= chosen.labels
        assert constraints.tier is None or chosen.tier >= constraints.tier
        assert constraints.max_cost is None or (candidate.max_cost or 0) <= constraints.max_cost
        assert rest is None or (found.all_rest and not rest.must)
    late = [
        c.standing.first_token is not None
        and constraints.latency_objective is not None
        and c.standing.first_token > constraints.latency_objective
        for c in found.candidates
        if c.deployment.name != canary.deployment
    ]
    assert late == sorted(late)
