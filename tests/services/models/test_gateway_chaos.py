"""Two thousand streamed requests on four deployments, of which only one is well."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import Counter
from dataclasses import replace

from core.catalog import Strategy
from core.generation import GenerationRequest, ModelError, ModelErrorKind
from core.identifiers import Seconds
from core.messages import Role
from core.ports.model_gateway import Selected
from core.resilience.load import HedgePolicy
from core.resilience.policy import ResiliencePolicy
from core.resilience.retries import RetryPolicy
from fakes.gateway_node import GatewayNode, Heard, a_route, gateway_node
from fakes.language_model import Fail, Script, ScriptedModel, Wait, script
from fakes.turn_node import a_model

REQUESTS, FEWER = 2_000, 500
WORDS = [f"w{number} " for number in range(20)]
WHOLE = "".join(WORDS)
DOWN = ModelError(ModelErrorKind.CONNECTION, "refused")
CUT = ModelError(ModelErrorKind.MALFORMED_STREAM, "cut")


def rest_of(request: GenerationRequest) -> list[str]:
    """The words that are still to be said: all, or those after the text to go on from."""
    last = request.messages[-1]
    if last.role is not Role.ASSISTANT:
        return WORDS
    said = len(last.text.split())
    return [" " + WORDS[said], *WORDS[said + 1 :]] if said < len(WORDS) else [" "]


def said(words: list[str], pause: float = 0.01) -> tuple[object, ...]:
    return tuple(step for word in words for step in (Wait(pause), word))


def deployments(chance: random.Random) -> list[ScriptedModel]:
    def cutting(request: GenerationRequest) -> Script:
        words = rest_of(request)
        if chance.random() < 0.2:
            return script(*said(words[: chance.randrange(1, 15)]), Fail(CUT))  # type: ignore[arg-type]
        return script(*said(words))  # type: ignore[arg-type]

    def slow(request: GenerationRequest) -> Script:
        return script(Wait(3.0), *said(rest_of(request)))  # type: ignore[arg-type]

    def healthy(request: GenerationRequest) -> Script:
        return script(*said(rest_of(request)))  # type: ignore[arg-type]

    def of(name: str, choose: object, *scripts: Script) -> ScriptedModel:
        plan = a_model(name=name, price="1", takes_prefix=True).deployment
        return ScriptedModel(*scripts, choose=choose, deployment=plan)  # type: ignore[arg-type]

    return [
        of("down", None, script(Fail(DOWN))),
        of("cutting", cutting),
        of("slow", slow),
        of("healthy", healthy),
    ]


def chaotic(strategy: Strategy) -> tuple[GatewayNode, list[ScriptedModel]]:
    chance = random.Random(7)
    models = deployments(chance)
    policy = replace(
        ResiliencePolicy(),
        retry=RetryPolicy(base=Seconds(0.2)),
        hedge=HedgePolicy(enabled=True, after=Seconds(1.0)),
    )
    way = a_route("down", "cutting", "slow", "healthy", strategy=strategy)
    node = gateway_node(*models, resilience=policy, routes=[way], draw=chance.random)
    return node, models


async def crowd(node: GatewayNode, requests: int = REQUESTS) -> list[Heard]:
    left = itertools.repeat(None, requests)
    heard: list[Heard] = []

    async def client() -> None:
        for _ in left:
            heard.append(await node.hear(model="way", within=30.0))

    await asyncio.gather(*[client() for _ in range(50)])
    return heard


async def test_no_failure_is_seen_no_text_is_lost_or_doubled_and_attempts_are_few() -> None:
    node, models = chaotic(Strategy.LEAST_OUTSTANDING)
    heard = await crowd(node)
    assert [h.error for h in heard if h.error] == []
    assert Counter(h.text.split() == WHOLE.split() for h in heard) == {True: REQUESTS}
    attempts = [await node.attempts(f"gen-{number}") for number in range(1, REQUESTS + 1)]
    after_opening = attempts[200:]
    assert sum(len(each) for each in after_opening) / len(after_opening) < 1.2
    late = [call for model in models for call in model.calls if call.timeout > 30.0]
    assert late == []
    down = models[0]
    assert len(down.calls) < 60


async def test_every_attempt_is_booked_once_to_the_token_or_as_an_estimate() -> None:
    node, models = chaotic(Strategy.WEIGHTED)
    await crowd(node, FEWER)
    lines = [line for number in range(1, FEWER + 1) for line in await node.ledger(f"gen-{number}")]
    calls = [call for model in models for call in model.calls]
    assert len(lines) == len(calls)
    exact = [line for line in lines if not line.estimated]
    finished = [call for call in calls if call.outcome.name == "FINISHED"]
    assert len(exact) == len(finished)
    assert sum(line.usage.completion or 0 for line in exact) == sum(
        len(call.events) - 1 for call in finished
    )
    others = [call for call in calls if call.outcome.name != "FINISHED"]
    received = sum(len(call.events) for call in others)
    booked = sum(line.usage.completion or 0 for line in lines if line.estimated)
    possible = 1024 * len(others)
    assert received <= booked <= possible
    lanes = [node.lanes.of(model.deployment) for model in models]
    assert [lane.outstanding for lane in lanes] == [0, 0, 0, 0]
    assert all(h.of(Selected) for h in [await node.hear(model="healthy")])
