"""The gateway: whichever deployment answers, what the others came to, and what it all cost."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import replace
from decimal import Decimal

import pytest

from core.catalog import Tier
from core.errors import ContextTooLong, FeatureUnsupported, ModelsUnavailable, NotFound
from core.generation import (
    Constraints,
    GenerationOptions,
    GenerationRequest,
    ModelError,
    ModelErrorKind,
    StopCause,
    TextDelta,
    TokenUsage,
)
from core.identifiers import Seconds, UserId
from core.messages import Role
from core.ports.model_gateway import (
    Completed,
    GatewayEvent,
    GenerationOrder,
    Selected,
    SpendingUnit,
    Switched,
)
from core.ports.state import State, StoreUnavailable
from core.prices import Prices
from core.prompting.parts import Priority, PromptPart, Provenance, SourceKind, Trust
from core.routing import RoutingPolicy
from core.turns.rows import EndReason
from fakes.language_model import (
    Fail,
    Finish,
    Hang,
    Script,
    ScriptedModel,
    Wait,
    a_deployment,
    script,
    words,
)
from fakes.state import CommitFault, FakeState
from fakes.turn_node import ACME, ANN, TurnNode, a_model, a_request, turn_node
from fakes.turn_readers import reading

DOWN = ModelError(ModelErrorKind.OVERLOADED, "too many cooks")
CUT = ModelError(ModelErrorKind.CONNECTION, "cut")


def an_order(node: TurnNode, text: str = "Hi", **changes: object) -> GenerationOrder:
    part = PromptPart.of(Role.USER, text, Provenance(SourceKind.USER), Trust.CALLER)
    unit = SpendingUnit("gen-1", ACME, ANN, "bare")
    until = Seconds(node.clock.monotonic() + 60)
    return replace(GenerationOrder(unit, (part,), text, until), **changes)  # type: ignore[arg-type]


async def generated(node: TurnNode, order: GenerationOrder) -> list[GatewayEvent]:
    async with aclosing(node.gateway.generate(node.call(), order)) as events:
        return [event async for event in events]


async def test_one_good_generation(state: State) -> None:
    async with turn_node(state, [a_model(script("a", "b"))]) as node:
        selected, *deltas, completed = await generated(node, an_order(node))
        assert isinstance(selected, Selected)
        assert (selected.deployment.name, selected.attempt, selected.prompt_tokens) == (
            "strong",
            1,
            5,
        )
        assert deltas == [TextDelta("a"), TextDelta("b")]
        assert isinstance(completed, Completed)
        assert (completed.cause, completed.cost) == (StopCause.STOP, Decimal("0.000007"))


async def test_a_bare_generation_is_booked_when_it_ends(state: State) -> None:
    async with turn_node(state, [a_model(script("a", "b"))]) as node:
        await generated(node, an_order(node))
        (line,) = await node.ledger("gen-1")
        assert (line.usage, line.cost, line.user, line.feature) == (
            TokenUsage(5, 2, 0, 0),
            Decimal("0.000007"),
            UserId("ann"),
            "bare",
        )
        assert [attempt.booked for attempt in await node.attempts("gen-1")] == [True]


async def test_closing_it_stops_the_model_and_books_an_estimate(state: State) -> None:
    model = a_model(script("abcdef", Hang()))
    async with turn_node(state, [model]) as node:
        async with aclosing(node.gateway.generate(node.call(), an_order(node))) as events:
            await anext(events)
            await anext(events)
        assert model.running == 0
        (line,) = await node.ledger("gen-1")
        assert (line.usage, line.estimated) == (TokenUsage(5, 2), True)


async def test_closing_it_before_the_call_costs_nothing(state: State) -> None:
    model = a_model(script("a"))
    async with turn_node(state, [model]) as node:
        async with aclosing(node.gateway.generate(node.call(), an_order(node))) as events:
            assert isinstance(await anext(events), Selected)
        assert model.calls == []
        (line,) = await node.ledger("gen-1")
        assert (line.usage, line.cost, line.estimated) == (TokenUsage(0, 0), Decimal(0), False)


@pytest.mark.parametrize("steps", range(1, 16))
async def test_a_cancel_at_any_moment_books_what_was_called(state: State, steps: int) -> None:
    model = a_model(script(Hang()))
    async with turn_node(state, [model]) as node:
        task = asyncio.create_task(generated(node, an_order(node)))
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task})
        await asyncio.sleep(0.1)
        lines, attempts = await node.ledger("gen-1"), await node.attempts("gen-1")
        assert [attempt.booked for attempt in attempts] == [True] * len(lines)
        prompt = sum(line.usage.prompt or 0 for line in lines)
        assert prompt == 5 * len(model.calls)
        assert model.running == 0


async def test_a_failure_before_text_goes_to_the_next(state: State) -> None:
    first = a_model(script(Fail(DOWN)), name="first", price="1")
    second = a_model(script("a"), name="second", price="2")
    async with turn_node(state, [first, second]) as node:
        events = await generated(node, an_order(node))
        assert [type(event) for event in events] == [
            Selected,
            Switched,
            Selected,
            TextDelta,
            Completed,
        ]
        assert events[1] == Switched(first.deployment.name, second.deployment.name, 1, "overloaded")
        lines = await node.ledger("gen-1")
        assert [(line.deployment, line.estimated) for line in lines] == [
            ("first", True),
            ("second", False),
        ]
        errors = [attempt.error for attempt in await node.attempts("gen-1")]
        assert errors == ["too many cooks", ""]


async def test_each_failure_on_the_way_is_told_once(state: State) -> None:
    models = [
        a_model(script(Fail(DOWN)), name="a", price="1"),
        a_model(script("never"), name="b", price="2", context_window=4),
        a_model(script(Fail(CUT)), name="c", price="3"),
        a_model(script("at last"), name="d", price="4"),
    ]
    async with turn_node(state, models) as node:
        events = await generated(node, an_order(node))
        switches = [event for event in events if isinstance(event, Switched)]
        assert [(s.failed, s.next, s.attempt, s.cause) for s in switches] == [
            ("a", "c", 1, "overloaded"),
            ("b", "c", 0, "context_too_long"),
            ("c", "d", 2, "connection"),
        ]
        selected = [event.attempt for event in events if isinstance(event, Selected)]
        assert selected == [1, 2, 3]


async def test_after_text_there_is_no_fallback(state: State) -> None:
    """A truncated answer is never continued by another's words, nor reported as complete."""
    first = a_model(script("Half", Fail(CUT)), name="first", price="1")
    second = a_model(script("whole"), name="second", price="2")
    async with turn_node(state, [first, second]) as node:
        with pytest.raises(ModelsUnavailable) as failed:
            await generated(node, an_order(node))
        assert failed.value.attempts == (("first", "connection"),)
        assert second.calls == []


async def test_a_stream_without_an_end_is_a_failure(state: State) -> None:
    def endless(_: GenerationRequest) -> Script:
        return script("Half")[:-1]

    model = ScriptedModel(choose=endless)
    async with turn_node(state, [model]) as node:
        with pytest.raises(ModelsUnavailable) as failed:
            await generated(node, an_order(node))
        assert failed.value.attempts == (("scripted", "malformed_stream"),)


async def test_what_is_refused_for_its_content_is_asked_of_nobody_else(state: State) -> None:
    filtered = ModelError(ModelErrorKind.CONTENT_FILTERED, "no")
    first = a_model(script(Fail(filtered)), name="first", price="1")
    second = a_model(script("x"), name="second", price="2")
    async with turn_node(state, [first, second]) as node:
        with pytest.raises(ModelsUnavailable):
            await generated(node, an_order(node))
        assert second.calls == []


async def test_all_fail_and_each_cause_is_told(state: State) -> None:
    models = [
        a_model(script(Fail(DOWN)), name="first", price="1"),
        a_model(script(Fail(CUT)), name="second", price="2"),
    ]
    async with turn_node(state, models) as node:
        read = await node.ask("Hi")
        assert isinstance(read.error, Exception)
        assert read.error.metadata["attempt:first"] == "overloaded"
        assert read.error.metadata["attempt:second"] == "connection"
        assert read.kinds == ["Started", "Switched"]
        assert len(await node.ledger(read.turn)) == 2


async def test_a_prompt_that_fits_nowhere_is_too_long(state: State) -> None:
    async with turn_node(state, [a_model(context_window=40)]) as node:
        with pytest.raises(ContextTooLong) as failed:
            await generated(node, an_order(node, "word " * 100))
        assert (failed.value.needed, failed.value.allowed) == (104, 20)
        assert await node.attempts("gen-1") == []
        read = await node.ask("word " * 100, request_id="r1")
        assert isinstance(read.error, Exception)
        assert read.error.reason.value == "CONTEXT_TOO_LONG"
        assert read.error.metadata["needed_tokens"] == "110"


async def test_what_may_go_is_left_out_and_named(state: State) -> None:
    extra = PromptPart.of(
        Role.USER,
        "word " * 100,
        Provenance(SourceKind.HISTORY, "msg-1"),
        Trust.CALLER,
        priority=Priority.OLD_HISTORY,
    )
    async with turn_node(state, [a_model(context_window=40)]) as node:
        order = an_order(node)
        selected, *_ = await generated(node, replace(order, parts=(extra, *order.parts)))
        assert isinstance(selected, Selected)
        assert len(selected.dropped) == 1


async def test_what_no_deployment_can_do_is_explained(state: State) -> None:
    async with turn_node(state) as node:
        options = GenerationOptions(stop=("END",))
        with pytest.raises(FeatureUnsupported, match=r"strong: lacks_capability \(stop\)"):
            await generated(node, an_order(node, options=options))
        dear = Constraints(max_cost=Decimal("0.000001"))
        with pytest.raises(FeatureUnsupported, match="too_expensive"):
            await generated(node, an_order(node, constraints=dear))
        with pytest.raises(NotFound):
            await generated(node, an_order(node, model="nowhere"))
        read = await node.ask("Hi", options=options)
        assert read.error is not None
        assert read.error.reason.value == "FEATURE_UNSUPPORTED"


async def test_a_grounded_answer_goes_to_a_model_that_is_good_enough(state: State) -> None:
    tiny = a_model(script("x"), name="tiny", tier=Tier.TINY)
    quotes = a_model(script("y"), name="quotes", tier=Tier.EXTRACTIVE)
    routing = RoutingPolicy(grounded_tier=Tier.SMALL)
    async with turn_node(state, [tiny, quotes], routing=routing) as node:
        await node.ask("Hi", collections=("docs",))
        assert (len(tiny.calls), len(quotes.calls)) == (0, 2)
        await node.ask("Hi")
        assert (len(tiny.calls), len(quotes.calls)) == (1, 2)


async def test_unknown_usage_is_estimated_and_said_to_be(state: State) -> None:
    unknown = Finish(StopCause.STOP, TokenUsage())
    async with turn_node(state, [a_model(script("abcdefg", unknown))]) as node:
        read = await node.ask("Hi")
        finished = read.transcript.finished
        assert finished is not None
        assert (finished.usage, finished.estimated) == (TokenUsage(11, 3), True)
        (line,) = await node.ledger(read.turn)
        assert (line.usage, line.estimated) == (TokenUsage(11, 3), True)


async def test_costs_in_two_currencies_are_not_added(state: State) -> None:
    first = a_model(script(Fail(DOWN)), name="first", price="1")
    euros = Prices(Decimal(2), Decimal(2), currency="EUR")
    second = ScriptedModel(script("a"), deployment=replace(a_deployment("second"), prices=euros))
    async with turn_node(state, [first, second]) as node:
        read = await node.ask("Hi")
        assert read.transcript.finished is not None
        assert read.transcript.finished.cost is None
        assert [line.currency for line in await node.ledger(read.turn)] == ["USD", "EUR"]


async def test_half_a_surrogate_pair_is_no_text(state: State) -> None:
    async with turn_node(
        state, [a_model(script("a\ud83d", Wait(0.1), "b", "\ud83d\ude00"))]
    ) as node:
        read = await node.ask("Hi")
        assert (read.text, read.error) == ("a\ufffdb\U0001f600", None)


async def test_a_bug_in_a_model_is_one_turns_affair(state: State) -> None:
    def buggy(request: GenerationRequest) -> Script:
        if "bug" in request.messages[-1].text:
            raise KeyError("choices")
        return words("a b c", pause=0.1)

    async with turn_node(state, [ScriptedModel(choose=buggy)], bugs=1) as node:
        good, bad = await asyncio.gather(node.ask("Hi"), node.ask("bug"))
        assert good.text == "a b c"
        assert bad.error is not None
        assert bad.error.reason.value == "INTERNAL"
        assert "choices" not in str(bad.error)


@pytest.mark.parametrize("fault", list(CommitFault))
async def test_an_end_that_cannot_be_written_costs_what_was_used(
    fake: FakeState, fault: CommitFault
) -> None:
    """The store fails just as the provider has finished: the turn's settlement knows the usage."""
    async with turn_node(fake, [a_model(script("a", Wait(1), "b"))]) as node:
        with reading(node.stream(a_request())) as reader:
            await reader.until(2)
            fake.faults.fail_commits(fault, 5, touching="attempts")
            read = await reader.end()
        assert (read.text, read.error) == ("ab", None)
        (line,) = await node.ledger(read.turn)
        assert (line.usage, line.estimated) == (TokenUsage(11, 2, 0, 0), False)


async def test_a_begin_that_stays_unknown_calls_nobody(fake: FakeState) -> None:
    model = a_model()
    async with turn_node(fake, [model]) as node:
        fake.faults.fail_commits(CommitFault.LOST, 200, touching="attempts")
        read = await node.ask("Hi", request_id="r1")
        assert isinstance(read.error, Exception)
        assert read.error.reason is StoreUnavailable("").reason
        assert model.calls == []
        await asyncio.sleep(15)  # then the store answers again
        assert (await node.row(read.turn)).reason is EndReason.ERROR
        assert (await node.ask("Hi", request_id="r1")).text == "Hello."
