"""What a ModelGateway does, in this process or behind a connection: the caller can't tell."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from core.budgets.rules import BudgetRule, Period
from core.catalog import Limits
from core.errors import (
    BudgetSpent,
    ColonnadeError,
    Conflict,
    ContextTooLong,
    Exhausted,
    FeatureUnsupported,
    ModelsUnavailable,
    NotFound,
)
from core.generation import (
    AnswerOrigin,
    GenerationOptions,
    LogProbabilities,
    ModelError,
    ModelErrorKind,
    ReasoningDelta,
    ReasoningSealed,
    RefusalDelta,
    SourceCited,
    TextDelta,
    TokenLogProbability,
    ToolCallDelta,
)
from core.identifiers import DeploymentName
from core.ports.model_gateway import Restarted, Routed, Selected, Switched
from core.routing import TaskClass
from fakes.far_gateway import far_gateway
from fakes.gateway_node import GatewayNode, a_route, gateway_node
from fakes.language_model import (
    Decline,
    Fail,
    Hang,
    Outcome,
    Propose,
    ScriptedModel,
    Tell,
    Think,
    script,
)
from fakes.turn_node import a_model

Open = Callable[..., Awaitable[GatewayNode]]
DOWN = ModelError(ModelErrorKind.OVERLOADED, "too many cooks")
CUT = ModelError(ModelErrorKind.CONNECTION, "cut")


@pytest.fixture(params=["in process", "another process's"])
async def open_gateway(request: pytest.FixtureRequest) -> AsyncIterator[Open]:
    """Makes gateways of either kind."""
    async with AsyncExitStack() as stack:

        async def opened(*models: ScriptedModel, **changes: Any) -> GatewayNode:
            node = gateway_node(*models, **changes)
            if request.param == "in process":
                return node
            far = far_gateway(node.gateway, node.state, node.clock)
            return replace(node, gateway=await stack.enter_async_context(far))

        yield opened


async def until(done: Callable[[], Awaitable[bool] | bool], within: float = 2.0) -> None:
    """Wait for what comes soon after."""
    async with asyncio.timeout(within):
        while True:
            answer = done()
            if answer if isinstance(answer, bool) else await answer:
                return
            await asyncio.sleep(0.002)


class TestEvents:
    async def test_who_is_asked_comes_first_and_what_it_cost_last(self, open_gateway: Open) -> None:
        model = a_model(script("Hel", "lo."), price="2.5")
        node = await open_gateway(model)
        heard = await node.hear()
        assert heard.error is None
        first, *_, last = heard.events
        assert first == Selected(model.deployment, 1, 5)
        assert heard.text == "Hello."
        assert last == heard.completed
        assert (last.usage.prompt, last.usage.completion) == (5, 2)
        assert last.cost == Decimal("0.0000175")
        assert last.spent is not None
        assert (last.spent.cost, last.spent.attempts) == (last.cost, 1)

    async def test_every_kind_of_piece_arrives_as_it_was(self, open_gateway: Open) -> None:
        token = TokenLogProbability("a", -0.5, b"\xf0\x9f", (TokenLogProbability("b", -2.0),))
        told: list[Any] = [
            AnswerOrigin("resp-1", "m-2026", "fp"),
            LogProbabilities((token,), refusal=True),
            SourceCited("https://example.org", "A title", "a quote", 0, 7),
            SourceCited("https://example.org"),
            ReasoningSealed("seal", "anthropic"),
        ]
        steps: list[Any] = [
            Think("hm"),
            *map(Tell, told),
            Decline("No, "),
            "好👋🏽 ",
            Propose("{", 0, "c1", "t"),
        ]
        node = await open_gateway(a_model(script(*steps)))
        heard = await node.hear()
        said = [e for e in heard.events if e not in (heard.events[0], heard.completed)]
        assert [e for e in said if e in told] == told
        assert [e.text for e in said if isinstance(e, ReasoningDelta)] == ["hm"]
        assert [e.text for e in said if isinstance(e, RefusalDelta)] == ["No, "]
        assert [e.text for e in said if isinstance(e, TextDelta)] == ["好👋🏽 "]
        assert [e for e in said if isinstance(e, ToolCallDelta)] == [
            ToolCallDelta(0, "c1", "t", "{")
        ]

    async def test_a_fallback_is_told(self, open_gateway: Open) -> None:
        first = a_model(script(Fail(DOWN)), name="first")
        node = await open_gateway(first, a_model(script("b"), name="second", price="2"))
        heard = await node.hear()
        assert heard.of(Switched) == [
            Switched(DeploymentName("first"), DeploymentName("second"), 1, "overloaded")
        ]
        assert (heard.asked, heard.text) == (["first", "second"], "b")
        assert heard.completed.attempt == 2

    async def test_another_goes_on_from_the_text(self, open_gateway: Open) -> None:
        second = a_model(script(" b"), name="second", price="2", takes_prefix=True)
        node = await open_gateway(a_model(script("a", Fail(CUT)), name="first"), second)
        heard = await node.hear()
        assert heard.text.split() == ["a", "b"]
        assert [event.continues for event in heard.of(Selected)] == [False, True]

    async def test_or_begins_anew_where_that_is_accepted(self, open_gateway: Open) -> None:
        second = a_model(script("b"), name="second", price="2")
        node = await open_gateway(a_model(script("a", Fail(CUT)), name="first"), second)
        heard = await node.hear(accepts_restart=True)
        assert heard.text == "b"
        assert heard.of(Restarted) == [Restarted(DeploymentName("first"), "connection")]

    async def test_an_answer_that_was_begun_elsewhere_is_gone_on_from(
        self, open_gateway: Open
    ) -> None:
        stubborn = a_model(script("anew"), name="first")
        second = a_model(script(" b"), name="second", price="2", takes_prefix=True)
        node = await open_gateway(stubborn, second)
        heard = await node.hear(begun="a ")
        assert (heard.text, heard.asked) == ("b", ["second"])
        assert [event.continues for event in heard.of(Selected)] == [True]
        assert second.calls[0].request.messages[-1].text == "a"
        assert stubborn.calls == []

    async def test_or_refused_where_nobody_can(self, open_gateway: Open) -> None:
        node = await open_gateway(a_model(script("anew")))
        heard = await node.hear(begun="a")
        assert (heard.text, type(heard.error)) == ("", ModelsUnavailable)

    async def test_the_decision_is_told_where_it_is_asked_for(self, open_gateway: Open) -> None:
        ways = a_route("second", "first")
        models = [a_model(name=name) for name in ("first", "second", "third")]
        node = await open_gateway(*models, routes=[ways])
        heard = await node.hear(model="way", explain=True)
        assert isinstance(heard.events[0], Routed)
        decision = heard.events[0].decision
        assert [c.deployment for c in decision.candidates] == [
            models[1].deployment,
            models[0].deployment,
        ]
        assert [(r.deployment, r.obstacle.value) for r in decision.rejected] == [
            ("third", "not_on_route")
        ]

    async def test_what_is_wanted_reaches_the_model(self, open_gateway: Open) -> None:
        model = a_model(script("a"))
        node = await open_gateway(model)
        options = GenerationOptions(temperature=0.5, max_output_tokens=7, seed=3)
        await node.hear(node.order("Wie geht's?", options=options, task=TaskClass.SUMMARISATION))
        [call] = model.calls
        assert call.request.options == options
        assert call.request.question == "Wie geht's?"
        assert [message.text for message in call.request.messages] == ["Wie geht's?"]


class TestErrors:
    async def test_every_candidate_failed(self, open_gateway: Open) -> None:
        first, second = a_model(script(Fail(DOWN)), name="a"), a_model(script(Fail(CUT)), name="b")
        node = await open_gateway(first, second)
        error = (await node.hear()).error
        assert isinstance(error, ModelsUnavailable)
        assert sorted(error.attempts) == [("a", "overloaded"), ("b", "connection")]

    async def test_the_end_after_text_is_an_error_too(self, open_gateway: Open) -> None:
        node = await open_gateway(a_model(script("a", Fail(CUT))))
        heard = await node.hear()
        assert heard.text == "a"
        assert isinstance(heard.error, ModelsUnavailable)

    @pytest.mark.parametrize(
        ("changes", "kind"),
        [
            ({"model": "nobody"}, NotFound),
            ({"only_extractive": True}, FeatureUnsupported),
        ],
    )
    async def test_nobody_suits(
        self, open_gateway: Open, changes: dict[str, Any], kind: type[ColonnadeError]
    ) -> None:
        node, here = await open_gateway(a_model()), gateway_node(a_model())
        error, expected = (await node.hear(**changes)).error, (await here.hear(**changes)).error
        assert type(error) is kind
        assert expected is not None
        assert (error.message, error.reason) == (expected.message, expected.reason)
        assert error.metadata == expected.metadata

    async def test_the_prompt_is_too_long(self, open_gateway: Open) -> None:
        node = await open_gateway(a_model(context_window=2))
        error = (await node.hear()).error
        assert isinstance(error, ContextTooLong)
        assert (error.needed, error.allowed) == (5, 1)

    async def test_a_budget_is_spent(self, open_gateway: Open) -> None:
        rule = BudgetRule("tiny", Decimal("0.0000001"), Period.DAY)
        node = await open_gateway(a_model(), budgets=[rule])
        error = (await node.hear()).error
        assert isinstance(error, BudgetSpent)
        assert error.budget == "tiny"

    async def test_nobody_has_room(self, open_gateway: Open) -> None:
        model = a_model(script(Hang()), limits=Limits(concurrent=1, queued=0))
        node = await open_gateway(model)
        hanging = asyncio.create_task(node.hear())
        await until(lambda: bool(model.calls))
        error = (await node.hear()).error
        assert isinstance(error, Exhausted)
        assert error.retry_after is not None
        hanging.cancel()

    async def test_a_turn_that_another_runs_spends_nothing(self, open_gateway: Open) -> None:
        model = a_model()
        node = await open_gateway(model)
        order = node.order()
        order = replace(order, unit=replace(order.unit, id="turn-1", epoch=3))
        assert isinstance((await node.hear(order)).error, Conflict)
        assert model.calls == []

    async def test_time_runs_out(self, open_gateway: Open) -> None:
        model = a_model(script(Hang()))
        node = await open_gateway(model)
        began = node.clock.monotonic()
        heard = await node.hear(within=0.2)
        assert isinstance(heard.error, ModelsUnavailable)
        assert heard.error.attempts == (("strong", "timeout"),)
        assert node.clock.monotonic() - began < 0.4
        assert model.calls[0].timeout <= 0.2


class TestSpending:
    async def test_each_attempt_is_booked_once(self, open_gateway: Open) -> None:
        first = a_model(script("a", Fail(CUT)), name="first")
        second = a_model(script("b"), name="second", price="2", takes_prefix=True)
        node = await open_gateway(first, second)
        heard = await node.hear()
        lines = await node.ledger()
        assert [(line.attempt, line.deployment) for line in lines] == [(1, "first"), (2, "second")]
        assert [line.estimated for line in lines] == [True, False]
        assert heard.completed.spent is not None
        assert heard.completed.spent.cost == sum(line.cost or Decimal(0) for line in lines)
        assert {(line.tenant, line.user, line.feature) for line in lines} == {
            ("acme", "ann", "tests")
        }

    async def test_who_leaves_stops_the_model_within_250_ms_and_pays_for_what_was(
        self, open_gateway: Open
    ) -> None:
        model = a_model(script("a", "b", Hang()))
        node = await open_gateway(model)
        events = node.stream(node.order())
        async for event in events:
            if isinstance(event, TextDelta):
                break
        left = asyncio.get_running_loop().time()
        await events.aclose()
        await until(lambda: model.calls[0].outcome is Outcome.STOPPED)
        assert asyncio.get_running_loop().time() - left < 0.25

        async def booked() -> bool:
            return len(await node.ledger()) == 1

        await until(booked)
        [line] = await node.ledger()
        assert line.estimated
        assert (line.usage.completion or 0) >= 1
