"""Hedges, lines, chains, affinity: how calls are shared out between deployments."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import aclosing
from dataclasses import replace

import pytest

from core.catalog import FallbackCause, Limits, Strategy, Tier
from core.errors import Exhausted, Reason
from core.generation import GenerationRequest, ModelError, ModelErrorKind, TokenUsage
from core.identifiers import DeploymentName, Seconds, TenantId
from core.ports.model_gateway import Selected
from core.resilience.load import HedgePolicy
from core.resilience.policy import PLAIN, ResiliencePolicy
from fakes.gateway_node import Heard, a_route, gateway_node
from fakes.language_model import Fail, Hang, Script, ScriptedModel, Wait, script
from fakes.turn_node import a_model

DOWN = ModelError(ModelErrorKind.OVERLOADED, "too many cooks")


def now() -> float:
    return asyncio.get_running_loop().time()


class TestHedging:
    POLICY = replace(PLAIN, hedge=HedgePolicy(enabled=True, after=Seconds(0.5)))

    async def test_a_second_one_is_asked_when_the_first_is_late_and_the_loser_is_booked(
        self,
    ) -> None:
        first = a_model(script(Wait(9), "slow"), name="first", price="1")
        second = a_model(script(Wait(0.1), "b", "c"), name="second", price="2")
        node = gateway_node(first, second, resilience=self.POLICY)
        began = now()
        heard = await node.hear()
        assert (heard.text, heard.switches) == ("bc", [("first", "slow")])
        assert now() - began == pytest.approx(0.6, abs=0.1)
        assert first.running == 0
        lines = await node.ledger()
        assert [(line.deployment, line.usage.completion, line.estimated) for line in lines] == [
            ("first", 0, True),
            ("second", 2, False),
        ]
        assert heard.completed.spent is not None
        assert heard.completed.spent.attempts == 2

    async def test_the_first_may_still_win(self) -> None:
        first = a_model(script(Wait(0.6), "a"), name="first", price="1")
        second = a_model(script(Wait(0.5), "b"), name="second", price="2")
        heard = await gateway_node(first, second, resilience=self.POLICY).hear()
        assert (heard.text, heard.asked, heard.switches) == ("a", ["first"], [])
        assert second.running == 0

    async def test_one_that_is_quick_is_not_hedged(self) -> None:
        first = a_model(script(Wait(0.1), "a", Wait(3), "b"), name="first", price="1")
        second = a_model(name="second", price="2")
        heard = await gateway_node(first, second, resilience=self.POLICY).hear()
        assert (heard.text, second.calls) == ("ab", [])

    async def test_if_both_fail_a_third_is_asked(self) -> None:
        first = a_model(script(Wait(1), Fail(DOWN)), name="first", price="1")
        second = a_model(script(Wait(1), Fail(DOWN)), name="second", price="2")
        third = a_model(script("c"), name="third", price="3")
        heard = await gateway_node(first, second, third, resilience=self.POLICY).hear()
        assert heard.text == "c"
        assert sorted(heard.switches) == [("first", "overloaded"), ("second", "overloaded")]

    async def test_hedges_are_few(self) -> None:
        first = a_model(script(Wait(1), "a"), name="first", price="1")
        second = a_model(script(Wait(1), "b"), name="second", price="2")
        node = gateway_node(first, second, resilience=self.POLICY)
        for _ in range(100):
            await node.hear()
        assert len(second.calls) <= 10 + 100 * 0.1 + 25  # saved, a share, some by the second

    async def test_a_lesser_tier_is_no_second(self) -> None:
        first = a_model(script(Wait(2), "a"), name="first")
        lesser = a_model(script("b"), name="lesser", tier=Tier.SMALL)
        heard = await gateway_node(first, lesser, resilience=self.POLICY).hear()
        assert (heard.text, lesser.calls) == ("a", [])

    async def test_who_was_not_asked_as_a_second_is_still_there_as_the_next(self) -> None:
        policy = replace(self.POLICY, hedge=replace(self.POLICY.hedge, share=0.0))
        first = a_model(script(Wait(2), Fail(DOWN)), name="first", price="1")
        second = a_model(script("b"), name="second", price="2")
        node = gateway_node(first, second, resilience=policy)
        for _ in range(12):  # the reserve of hedges is used up
            assert (await node.hear()).text == "b"

    async def test_leaving_at_once_leaves_nothing_behind(self) -> None:
        first = a_model(script(Hang()), name="first", price="1")
        node = gateway_node(first, a_model(name="second", price="2"), resilience=self.POLICY)
        async with aclosing(node.stream(node.order())) as events:
            await anext(events)
        assert first.running == 0
        assert node.lanes.of(first.deployment).outstanding == 0
        assert [attempt.booked for attempt in await node.attempts()] == [True]

    async def test_leaving_stops_both(self) -> None:
        first = a_model(script(Hang()), name="first", price="1")
        second = a_model(script(Hang()), name="second", price="2")
        node = gateway_node(first, second, resilience=self.POLICY)
        task = asyncio.create_task(node.hear())
        await asyncio.sleep(2)
        assert (first.running, second.running) == (1, 1)
        task.cancel()
        await asyncio.wait({task})
        assert (first.running, second.running) == (0, 0)
        assert len(await node.ledger()) == 2


class TestLines:
    async def test_calls_beyond_the_limit_wait_and_tenants_take_turns(self) -> None:
        model = a_model(script(Wait(1), "a"), limits=Limits(concurrent=2))
        node = gateway_node(model)
        done: list[str] = []

        async def one(tenant: str) -> None:
            heard = await node.hear(node.order(tenant=TenantId(tenant)))
            assert heard.error is None
            done.append(tenant)

        crowd = [asyncio.create_task(one("crowd")) for _ in range(10)]
        await asyncio.sleep(0.1)
        few = [asyncio.create_task(one("few")) for _ in range(2)]
        await asyncio.wait({*crowd, *few})
        assert model.most_running == 2
        assert "few" in done[2:4]
        assert done.index("few") < 5
        assert node.lanes.of(model.deployment).outstanding == 0

    async def test_jain_index_of_two_tenants_with_unequal_crowds(self) -> None:
        model = a_model(script(Wait(1), "a"), limits=Limits(concurrent=4))
        node = gateway_node(model)
        done: Counter[str] = Counter()

        async def one(tenant: str) -> None:
            await node.hear(node.order(tenant=TenantId(tenant)))
            done[tenant] += 1

        tasks = [asyncio.create_task(one(t)) for t in ["a"] * 90 + ["b"] * 30 + ["c"] * 30]
        await asyncio.sleep(20.5)
        shares = list(done.values())
        assert sum(shares) ** 2 / (len(shares) * sum(s * s for s in shares)) >= 0.95
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)

    async def test_a_full_line_turns_away_and_says_when_to_come_back(self) -> None:
        model = a_model(script(Wait(5), "a"), limits=Limits(concurrent=1, queued=1))
        node = gateway_node(model)
        tasks = [asyncio.create_task(node.hear()) for _ in range(3)]
        heard: list[Heard] = await asyncio.gather(*tasks)
        refused = [h.error for h in heard if h.error]
        assert len(refused) == 1
        assert isinstance(refused[0], Exhausted)
        assert refused[0].reason is Reason.TOO_MANY_REQUESTS
        assert (refused[0].retry_after or 0) >= 1

    async def test_nobody_waits_where_another_has_room(self) -> None:
        first = a_model(script(Wait(5), "a"), name="a", price="1", limits=Limits(concurrent=1))
        second = a_model(script("b"), name="b", price="2")
        node = gateway_node(first, second)
        busy = asyncio.create_task(node.hear())
        await asyncio.sleep(0.1)
        began = now()
        heard = await node.hear()
        assert (heard.text, heard.switches) == ("b", [("a", "busy")])
        assert now() - began < 0.1
        await busy

    async def test_published_rates_are_kept_before_the_provider_complains(self) -> None:
        model = a_model(script("a"), limits=Limits(requests_per_minute=6))
        node = gateway_node(model)
        began = now()
        for _ in range(8):
            assert (await node.hear()).error is None
        assert now() - began == pytest.approx(20, abs=0.5)

    async def test_tokens_that_were_not_used_are_put_back(self) -> None:
        model = a_model(script("a"), limits=Limits(tokens_per_minute=2000))
        node = gateway_node(model)  # each may use 5 + 1024 and uses 6
        began = now()
        for _ in range(20):
            assert (await node.hear()).error is None
        assert now() - began < 1

    async def test_one_who_leaves_the_line_leaves_nothing_behind(self) -> None:
        model = a_model(script(Wait(2), "a"), limits=Limits(concurrent=1))
        node = gateway_node(model)
        first = asyncio.create_task(node.hear())
        await asyncio.sleep(0.1)
        waiting = asyncio.create_task(node.hear())
        await asyncio.sleep(0.1)
        waiting.cancel()
        await asyncio.wait({waiting})
        assert (await first).text == "a"
        assert (await node.hear()).text == "a"
        assert await node.attempts("gen-2") == []


class TestChains:
    @pytest.mark.parametrize(
        ("kind", "cause"),
        [
            (ModelErrorKind.RATE_LIMITED, FallbackCause.RATE),
            (ModelErrorKind.CONTEXT_TOO_LONG, FallbackCause.CONTEXT_WINDOW),
            (ModelErrorKind.CONTENT_FILTERED, FallbackCause.CONTENT_FILTER),
            (ModelErrorKind.CONNECTION, FallbackCause.DOWN),
        ],
    )
    async def test_each_cause_has_its_chain(
        self, kind: ModelErrorKind, cause: FallbackCause
    ) -> None:
        first = a_model(script(Fail(ModelError(kind, "x"))), name="first")
        usual = a_model(script("usual"), name="usual")
        special = a_model(script("special"), name="special")
        way = a_route("first", "usual", fallbacks={cause: (DeploymentName("special"),)})
        node = gateway_node(first, usual, special, routes=[way])
        heard = await node.hear(model="way")
        assert (heard.text, heard.asked) == ("special", ["first", "special"])

    async def test_after_a_window_that_was_too_small_only_larger_ones_are_asked(self) -> None:
        long = ModelError(ModelErrorKind.CONTEXT_TOO_LONG, "x")
        first = a_model(script(Fail(long)), name="first", price="1", context_window=4000)
        same = a_model(script("never"), name="same", price="2", context_window=4000)
        large = a_model(script("large"), name="large", price="3", context_window=9000)
        heard = await gateway_node(first, same, large).hear()
        assert (heard.text, same.calls) == ("large", [])


async def test_a_conversation_stays_where_its_prompt_is_cached() -> None:
    models = [a_model(script(name), name=name) for name in "abc"]
    node = gateway_node(
        *models,
        resilience=ResiliencePolicy(),
        routes=[a_route(*"abc", strategy=Strategy.WEIGHTED)],
        draw=iter([0.1, 0.9, 0.1, 0.9, 0.5]).__next__,
    )
    texts = [(await node.hear(model="way", key=key)).text for key in ("x", "y", "x", "x", "")]
    assert texts == ["a", "c", "a", "a", "b"]


async def test_each_attempt_is_on_record_before_its_call() -> None:
    seen: list[int] = []
    node = gateway_node(model := a_model())

    def look(_: GenerationRequest) -> Script:
        rows = node.state.tables.attempts
        seen.append(len(rows))
        return script("a")

    model._choose = look
    await node.hear()
    (attempt,) = await node.attempts()
    assert seen == [1]
    assert (attempt.prompt_tokens, attempt.reserved is not None) == (5, True)
    assert attempt.used == TokenUsage(5, 1, 0, 0)


async def test_events_tell_of_the_first_call_before_it_is_made() -> None:
    model = ScriptedModel(script("a"))
    heard = await gateway_node(model).hear()
    assert isinstance(heard.events[0], Selected)
