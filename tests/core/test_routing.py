"""Routing: who may serve, in which order, and why not the others."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.catalog import Capability, Catalog, Deployment, Route, Tier
from core.errors import NotFound
from core.generation import Constraints, GenerationOptions, ToolChoice
from core.identifiers import DeploymentName
from core.messages import ImagePart, Message, Role
from core.prices import Prices
from core.routing import (
    Obstacle,
    RoutingDecision,
    RoutingPolicy,
    RoutingRequest,
    TaskClass,
    needed_capabilities,
    route,
)


def deployment(name: str, tier: Tier, **fields: object) -> Deployment:
    defaults: dict[str, object] = {
        "model": f"model-{name}",
        "provider": "p",
        "context_window": 4_000,
        "max_output_tokens": 500,
    }
    return Deployment(name=DeploymentName(name), tier=tier, **{**defaults, **fields})  # type: ignore[arg-type]


def prices(input_: str, output: str) -> Prices:
    return Prices(input=Decimal(input_), output=Decimal(output))


QUOTES = deployment("quotes", Tier.EXTRACTIVE, prices=prices("0", "0"), context_window=10**6)
TINY = deployment("tiny", Tier.TINY, prices=prices("0", "0"), languages=frozenset({"en"}))
SMALL = deployment("small", Tier.SMALL, prices=prices("1", "2"), residency="eu")
BIG = deployment("big", Tier.STRONG, prices=prices("5", "15"), context_window=100_000)
BIG_TOO = deployment("big-eu", Tier.STRONG, model="model-big", residency="eu")
ALL = (QUOTES, TINY, SMALL, BIG, BIG_TOO)


def catalog(*deployments: Deployment, **routes: tuple[str, ...]) -> Catalog:
    return Catalog(
        {d.name: d for d in deployments or ALL},
        {
            name: Route(name, tuple(map(DeploymentName, candidates)))
            for name, candidates in routes.items()
        },
    )


def names(decision: RoutingDecision) -> list[str]:
    return [candidate.deployment.name for candidate in decision.candidates]


def obstacles(decision: RoutingDecision) -> dict[str, Obstacle]:
    return {rejection.deployment: rejection.obstacle for rejection in decision.rejected}


CHAT = RoutingRequest(TaskClass.CHAT)
GROUNDED = RoutingRequest(TaskClass.GROUNDED_ANSWER)


def test_chat_goes_to_the_best_and_never_to_one_that_only_quotes() -> None:
    decision = route(catalog(), CHAT, RoutingPolicy())
    assert names(decision) == ["big", "big-eu", "small", "tiny"]
    assert obstacles(decision) == {"quotes": Obstacle.ONLY_QUOTES}


def test_a_grounded_answer_needs_a_good_enough_model_or_is_quoted() -> None:
    assert names(route(catalog(TINY, QUOTES), GROUNDED, RoutingPolicy())) == ["quotes"]
    assert names(route(catalog(), GROUNDED, RoutingPolicy())) == [
        "big",
        "big-eu",
        "small",
        "quotes",
    ]
    lax = RoutingPolicy(grounded_tier=Tier.TINY)
    assert names(route(catalog(TINY, QUOTES), GROUNDED, lax)) == ["tiny", "quotes"]


def test_a_model_that_is_named_is_taken_at_its_word() -> None:
    tiny = RoutingRequest(TaskClass.GROUNDED_ANSWER, model="tiny")
    assert names(route(catalog(), tiny, RoutingPolicy())) == ["tiny"]
    by_model = RoutingRequest(TaskClass.CHAT, model="model-big")
    assert names(route(catalog(), by_model, RoutingPolicy())) == ["big", "big-eu"]
    with pytest.raises(NotFound):
        route(catalog(), RoutingRequest(TaskClass.CHAT, model="gone"), RoutingPolicy())


def test_a_route_gives_the_order() -> None:
    ways = catalog(cheap=("tiny", "small"))
    request = RoutingRequest(TaskClass.CHAT, model="cheap")
    assert names(route(ways, request, RoutingPolicy())) == ["tiny", "small"]
    policy = RoutingPolicy(routes={TaskClass.GROUNDED_ANSWER: "cheap"})
    decision = route(ways, GROUNDED, policy)
    assert names(decision) == ["small", "quotes"]
    assert obstacles(decision)["big"] is Obstacle.NOT_ON_ROUTE


@pytest.mark.parametrize(
    ("request_", "accepted", "obstacle"),
    [
        (RoutingRequest(TaskClass.CHAT, prompt_tokens=4_000), ["big"], Obstacle.WINDOW_TOO_SMALL),
        (
            RoutingRequest(TaskClass.CHAT, constraints=Constraints(residency="eu")),
            ["big-eu", "small"],
            Obstacle.OTHER_RESIDENCY,
        ),
        (
            RoutingRequest(TaskClass.CHAT, constraints=Constraints(tier=Tier.STRONG)),
            ["big", "big-eu"],
            Obstacle.TIER_TOO_LOW,
        ),
        (
            RoutingRequest(TaskClass.CHAT, language="zh-Hans"),
            ["big", "big-eu", "small"],
            Obstacle.OTHER_LANGUAGE,
        ),
        (
            RoutingRequest(TaskClass.CHAT, output_tokens=501),
            [],
            Obstacle.OUTPUT_TOO_LONG,
        ),
        (
            RoutingRequest(TaskClass.CHAT, capabilities=frozenset({Capability.TOOLS})),
            [],
            Obstacle.LACKS_CAPABILITY,
        ),
        (
            RoutingRequest(
                TaskClass.CHAT,
                constraints=Constraints(max_cost=Decimal("0.002")),
                prompt_tokens=1_000,
            ),
            ["small", "tiny"],
            Obstacle.TOO_EXPENSIVE,
        ),
    ],
)
def test_constraints(request_: RoutingRequest, accepted: list[str], obstacle: Obstacle) -> None:
    deployments = tuple(d for d in ALL if d is not BIG_TOO or request_.constraints.max_cost is None)
    if obstacle is Obstacle.WINDOW_TOO_SMALL:
        deployments = (QUOTES, TINY, SMALL, BIG)
    decision = route(catalog(*deployments), request_, RoutingPolicy())
    assert names(decision) == accepted
    assert obstacle in obstacles(decision).values()


def test_an_unknown_price_is_not_zero() -> None:
    request = RoutingRequest(TaskClass.CHAT, constraints=Constraints(max_cost=Decimal(9)))
    strict = route(catalog(BIG_TOO), request, RoutingPolicy())
    assert obstacles(strict) == {"big-eu": Obstacle.PRICE_UNKNOWN}
    assert names(route(catalog(BIG_TOO), request, RoutingPolicy(accept_unknown_price=True)))


def test_what_options_and_messages_need() -> None:
    options = GenerationOptions(seed=1, response_schema="{}", tool_choice=ToolChoice.REQUIRED)
    image = Message(Role.USER, (ImagePart("file:x", "image/png"),))
    assert needed_capabilities(options, [image]) == {
        Capability.SEED,
        Capability.JSON_SCHEMA,
        Capability.TOOLS,
        Capability.IMAGES,
    }
    assert needed_capabilities(GenerationOptions(), []) == frozenset()


REQUESTS = st.builds(
    RoutingRequest,
    task=st.sampled_from(list(TaskClass)),
    model=st.sampled_from(["", "tiny", "model-big", "cheap"]),
    constraints=st.builds(
        Constraints,
        max_cost=st.none() | st.decimals(0, 1, allow_nan=False),
        tier=st.none() | st.sampled_from(list(Tier)),
        residency=st.sampled_from(["", "eu", "us"]),
    ),
    prompt_tokens=st.integers(0, 200_000),
    output_tokens=st.none() | st.integers(1, 1_000),
    language=st.sampled_from(["", "en", "zh"]),
)


@settings(max_examples=200)
@given(REQUESTS, st.permutations(ALL))
def test_every_deployment_is_accepted_or_rejected_once_and_no_constraint_is_broken(
    request: RoutingRequest, order: list[Deployment]
) -> None:
    decision = route(catalog(*order, cheap=("tiny", "small")), request, RoutingPolicy())
    assert sorted([*names(decision), *obstacles(decision)]) == sorted(d.name for d in ALL)
    assert decision == route(catalog(*ALL, cheap=("tiny", "small")), request, RoutingPolicy())
    wanted = request.constraints
    for candidate in decision.candidates:
        chosen = candidate.deployment
        assert wanted.tier is None or chosen.tier >= wanted.tier
        assert wanted.residency in ("", chosen.residency)
        assert request.prompt_tokens < chosen.context_window
        assert wanted.max_cost is None or (
            candidate.max_cost is not None and candidate.max_cost <= wanted.max_cost
        )
    assert decision.explanation().startswith("candidates: ")
