"""Retries, breakers, time limits: what a caller and a provider see of them."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace

import pytest

from core.catalog import Limits
from core.errors import ModelsUnavailable
from core.generation import ModelError, ModelErrorKind
from core.identifiers import Seconds
from core.ports.model_gateway import Switched
from core.resilience.breaker import BreakerPolicy, Phase
from core.resilience.policy import PLAIN, ResiliencePolicy
from core.resilience.retries import RetryPolicy
from fakes.gateway_node import gateway_node
from fakes.language_model import Fail, Hang, Wait, script
from fakes.turn_node import a_model

DOWN = ModelError(ModelErrorKind.OVERLOADED, "too many cooks")
RETRY = RetryPolicy(rounds=3, base=Seconds(1.0), cap=Seconds(4.0), longest_advice=Seconds(60))
RETRYING = replace(PLAIN, retry=RETRY)


def limited(after: float | None) -> ModelError:
    advice = None if after is None else Seconds(after)
    return ModelError(ModelErrorKind.RATE_LIMITED, "slow down", retry_after=advice)


def now() -> float:
    return asyncio.get_running_loop().time()


class TestRetries:
    async def test_the_others_are_asked_before_anyone_is_asked_again(self) -> None:
        first = a_model(script(Fail(DOWN)), script("a"), name="first", price="1")
        second = a_model(script(Fail(DOWN)), name="second", price="2")
        heard = await gateway_node(first, second, resilience=RETRYING).hear()
        assert (heard.text, heard.asked) == ("a", ["first", "second", "first"])

    async def test_who_is_tried_again_is_told_as_its_own_successor(self) -> None:
        model = a_model(script(Fail(DOWN)), script("a"))
        heard = await gateway_node(model, resilience=RETRYING).hear()
        (switched,) = heard.of(Switched)
        assert switched == Switched(model.deployment.name, model.deployment.name, 1, "overloaded")

    async def test_the_wait_is_jittered_and_grows(self) -> None:
        model = a_model(script(Fail(DOWN)), script(Fail(DOWN)), script("a"))
        began = now()
        heard = await gateway_node(model, resilience=RETRYING, draw=lambda: 0.5).hear()
        assert heard.error is None
        assert now() - began == pytest.approx(0.5 + 1.0)

    async def test_the_latest_advice_is_kept(self) -> None:
        """Elsewhere: `Retry-After` read from the first failure (litellm 20722)."""
        model = a_model(script(Fail(limited(30))), script(Fail(limited(2))), script("a"))
        began = now()
        heard = await gateway_node(model, resilience=RETRYING).hear()
        assert heard.text == "a"
        assert now() - began == pytest.approx(32, abs=0.5)

    async def test_who_wants_more_than_the_bound_is_not_waited_for(self) -> None:
        model = a_model(script(Fail(limited(61))), script("never"))
        heard = await gateway_node(model, resilience=RETRYING).hear()
        assert isinstance(heard.error, ModelsUnavailable)
        assert heard.error.retry_after == Seconds(61)
        assert len(model.calls) == 1

    async def test_nobody_waits_beyond_the_callers_deadline(self) -> None:
        model = a_model(script(Fail(limited(10))))
        node = gateway_node(model, resilience=RETRYING)
        began = now()
        heard = await node.hear(within=5.0)
        assert isinstance(heard.error, ModelsUnavailable)
        assert now() - began < 1

    @pytest.mark.parametrize("kind", [ModelErrorKind.BAD_REQUEST, ModelErrorKind.AUTHENTICATION])
    async def test_what_does_not_pass_is_not_tried_again(self, kind: ModelErrorKind) -> None:
        model = a_model(script(Fail(ModelError(kind, "no"))))
        await gateway_node(model, resilience=RETRYING).hear()
        assert len(model.calls) == 1

    async def test_when_all_is_down_retries_die_away(self) -> None:
        model = a_model(script(Fail(DOWN)))
        node = gateway_node(model, resilience=RETRYING)
        for _ in range(200):
            await node.hear()
        assert len(model.calls) < 200 * 1.5 + 20


class TestBreaker:
    POLICY = replace(
        PLAIN,
        breaker=BreakerPolicy(in_a_row=3, rest=Seconds(5), probes=1, successes=1),
    )

    async def test_one_that_fails_is_left_alone_and_probed(self) -> None:
        first = a_model(*[script(Fail(DOWN))] * 4, script("back"), name="first", price="1")
        second = a_model(script("b"), name="second", price="2")
        node = gateway_node(first, second, resilience=self.POLICY)
        for _ in range(10):
            assert (await node.hear()).text == "b"
        assert len(first.calls) == 3
        await asyncio.sleep(5.1)
        assert (await node.hear()).text == "b"  # the probe failed: it rests twice as long
        await asyncio.sleep(5.1)
        assert (await node.hear()).asked == ["second"]
        await asyncio.sleep(5.1)
        assert (await node.hear()).text == "back"
        lane = node.lanes.of(first.deployment)
        assert lane.breaker.phase is Phase.CLOSED

    async def test_only_one_of_many_is_the_probe(self) -> None:
        first = a_model(*[script(Fail(DOWN))] * 3, script(Wait(1), "back"), name="a", price="1")
        second = a_model(script("b"), name="b", price="2")
        node = gateway_node(first, second, resilience=self.POLICY)
        for _ in range(3):
            await node.hear()
        await asyncio.sleep(5.1)
        texts = Counter(h.text for h in await asyncio.gather(*[node.hear() for _ in range(20)]))
        assert texts == {"b": 19, "back": 1}

    async def test_the_last_one_is_asked_though_it_rests(self) -> None:
        model = a_model(*[script(Fail(DOWN))] * 3, script("a"))
        node = gateway_node(model, resilience=self.POLICY)
        for _ in range(3):
            await node.hear()
        assert (await node.hear()).text == "a"

    async def test_one_that_named_a_time_is_not_asked_before_and_the_caller_is_told(self) -> None:
        policy = replace(self.POLICY, cooldown=ResiliencePolicy().cooldown)
        model = a_model(script(Fail(limited(20))), script("a"))
        node = gateway_node(model, resilience=policy)
        await node.hear()
        await asyncio.sleep(5)
        heard = await node.hear()
        assert isinstance(heard.error, ModelsUnavailable)
        assert heard.error.retry_after == pytest.approx(15, abs=0.1)
        assert len(model.calls) == 1
        await asyncio.sleep(15.1)
        assert (await node.hear()).text == "a"

    async def test_what_is_wrong_with_a_request_says_nothing_about_the_deployment(self) -> None:
        wrong = ModelError(ModelErrorKind.BAD_REQUEST, "no such option")
        model = a_model(*[script(Fail(wrong))] * 9, script("a"))
        other = a_model(script("b"), name="other", price="9")
        node = gateway_node(model, other, resilience=self.POLICY)
        for _ in range(9):
            await node.hear()
        assert (await node.hear()).text == "a"

    async def test_a_reader_that_leaves_says_nothing_either(self) -> None:
        model = a_model(script(Hang()))
        node = gateway_node(model, resilience=self.POLICY)
        for _ in range(6):
            task = asyncio.create_task(node.hear())
            await asyncio.sleep(0.1)
            task.cancel()
            await asyncio.wait({task})
        lane = node.lanes.of(model.deployment)
        assert (lane.breaker.phase, lane.outstanding) == (Phase.CLOSED, 0)


class TestTimeLimits:
    async def test_a_silent_one_is_given_up_for_another(self) -> None:
        """Elsewhere: no time-out, 15 minutes of hang (tensorzero 6328)."""
        limits = Limits(first_token=Seconds(2))
        first = a_model(script(Hang()), name="first", price="1", limits=limits)
        second = a_model(script("b"), name="second", price="2")
        began = now()
        heard = await gateway_node(first, second).hear()
        assert (heard.text, heard.switches) == ("b", [("first", "timeout")])
        assert now() - began == pytest.approx(2, abs=0.1)

    async def test_an_attempt_has_its_total_and_never_more_than_the_caller(self) -> None:
        model = a_model(script("a"), limits=Limits(total=Seconds(7)))
        node = gateway_node(model)
        await node.hear(within=60)
        await node.hear(within=3)
        assert [call.timeout for call in model.calls] == pytest.approx([7, 3], abs=0.1)
