"""What lasts of a decision is remembered for requests of one shape: it must not change any."""

from __future__ import annotations

from dataclasses import fields, replace
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from core.catalog import Canary, Catalog, Deployment, FallbackCause, Route, Strategy, Tier
from core.generation import Constraints
from core.identifiers import DeploymentName, Seconds
from core.prices import Prices
from core.routing import Rest, RoutingPolicy, RoutingRequest, Standing, TaskClass, route
from core.routing.decision import decide, sole_choice
from core.routing.plan import plan_of, shape_of

NAMES = tuple(map(DeploymentName, ("quotes", "small", "cheap", "strong")))
TIERS = (Tier.EXTRACTIVE, Tier.SMALL, Tier.SMALL, Tier.STRONG)
PRICES = (("0", "0"), ("1", "2"), ("0.5", "4"), ("5", "15"))
RANKS_ONLY = {"expected_prompt", "key", "holder"}


def _catalog(strategy: Strategy) -> Catalog:
    deployments = {
        name: Deployment(
            name, "m", "p", tier, 4_000, 500, prices=Prices(Decimal(reading), Decimal(writing))
        )
        for name, tier, (reading, writing) in zip(NAMES, TIERS, PRICES, strict=True)
    }
    chains = {FallbackCause.RATE: NAMES[:3], FallbackCause.DOWN: NAMES[1:]}
    way = Route("way", NAMES, strategy, {}, Canary(NAMES[3], 0.5), chains)
    return Catalog(deployments, {"way": way})


CATALOGS = st.sampled_from([_catalog(strategy) for strategy in Strategy])
REQUESTS = st.builds(
    RoutingRequest,
    task=st.sampled_from(TaskClass),
    model=st.sampled_from(["", "way", "m", "small"]),
    constraints=st.builds(
        Constraints,
        max_cost=st.sampled_from([None, Decimal("0.001"), Decimal("0.01")]),
        latency_objective=st.sampled_from([None, Seconds(0.5)]),
        tier=st.sampled_from([None, Tier.SMALL]),
    ),
    output_tokens=st.sampled_from([None, 100, 900]),
    only_quotes=st.booleans(),
)
RANKING = st.fixed_dictionaries(
    {
        "expected_prompt": st.integers(0, 3_000),
        "key": st.sampled_from(["", "one", "other"]),
        "holder": st.sampled_from([None, *NAMES]),
    }
)
RESTS = st.sampled_from(
    [None, None, Rest("down", Seconds(2.0)), Rest("limited", Seconds(3.0), must=True)]
)
STANDINGS = st.dictionaries(
    st.sampled_from(NAMES),
    st.builds(
        Standing,
        outstanding=st.integers(0, 3),
        first_token=st.sampled_from([None, Seconds(0.2), Seconds(0.9)]),
        rest=RESTS,
    ),
)


@given(CATALOGS, REQUESTS, RANKING, RANKING, STANDINGS, st.floats(0, 1, exclude_max=True))
def test_the_plan_of_one_request_decides_every_other_of_its_shape(
    catalog: Catalog,
    request_: RoutingRequest,
    of_one: dict[str, object],
    of_other: dict[str, object],
    standings: dict[DeploymentName, Standing],
    draw: float,
) -> None:
    policy = RoutingPolicy({TaskClass.REASONING: "way"})
    one = replace(request_, **of_one)  # type: ignore[arg-type]  # the fields' own types
    other = replace(request_, **of_other)  # type: ignore[arg-type]
    assert shape_of(one) == shape_of(other)
    decided = decide(
        plan_of(catalog, one, policy),
        other,
        lambda name: standings.get(name, Standing()),
        draw,
    )
    assert decided == route(catalog, other, policy, standings, draw)


@given(CATALOGS, REQUESTS, RANKING, st.floats(0, 1, exclude_max=True))
def test_where_there_is_no_choice_nothing_has_to_be_ranked(
    catalog: Catalog, request_: RoutingRequest, ranking: dict[str, object], draw: float
) -> None:
    policy = RoutingPolicy()
    plan = plan_of(catalog, request_, policy)
    sole = sole_choice(plan)
    assert (sole is None) == (len(plan.suitable) != 1 or bool(plan.fallbacks))
    if sole is not None:
        asked = replace(request_, **ranking)  # type: ignore[arg-type]  # the fields' own types
        decided = route(catalog, asked, policy, draw=draw)
        candidate = replace(decided.candidates[0], expected_cost=None, notes=())
        assert replace(decided, candidates=(candidate,)) == sole


def test_a_shape_leaves_out_nothing_but_what_ranks() -> None:
    request_ = RoutingRequest(TaskClass.CHAT)
    assert isinstance(shape := shape_of(request_), tuple)
    assert len(shape) == len(fields(request_)) - len(RANKS_ONLY)
    told_apart: dict[str, object] = {
        "task": TaskClass.REASONING,
        "model": "way",
        "constraints": Constraints(residency="eu"),
        "capabilities": frozenset({1}),
        "prompt_tokens": 1,
        "output_tokens": 1,
        "language": "en",
        "minimum_tier": Tier.SMALL,
        "only_quotes": True,
    }
    assert told_apart.keys() == {f.name for f in fields(request_)} - RANKS_ONLY
    for name, value in told_apart.items():
        changed = replace(request_, **{name: value})  # type: ignore[arg-type]
        assert shape_of(changed) != shape, name
