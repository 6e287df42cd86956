"""ModelService: what it refuses, how it explains a choice, and what it says of health."""

from __future__ import annotations

from typing import Any

import pytest
from grpc import StatusCode

from colonnade.v1 import embeddings_pb2, models_pb2, routing_pb2
from core.generation import ModelError, ModelErrorKind
from fakes.language_model import Fail, ScriptedModel, script
from fakes.rich_errors import refused
from fakes.served_node import ServedNode, served_node, user
from fakes.turn_node import a_model

CUT = ModelError(ModelErrorKind.CONNECTION, "cut")
DOWN = ModelError(ModelErrorKind.OVERLOADED, "too many cooks")


def wants(**fields: Any) -> models_pb2.GenerateRequest:
    return models_pb2.GenerateRequest(messages=[user("Hi")], **fields)


def two(first: ScriptedModel | None = None) -> tuple[ScriptedModel, ScriptedModel]:
    return (
        first or a_model(script("a"), name="first", price="1"),
        a_model(script("whole"), name="second", price="2"),
    )


async def test_a_spent_budget_is_told_by_name() -> None:
    budget = {"daily": {"limit": "0.001", "period": "day", "each": ["tenant"]}}
    async with served_node(a_model(script("a")), budgets=budget) as node:
        refusal = await refused(node.stubs.models.Generate(wants(), metadata=node.key()))
        assert refusal.code is StatusCode.RESOURCE_EXHAUSTED
        assert refusal.reason == "BUDGET_SPENT"
        assert refusal.metadata["limit"] == "budget daily"
        told = {name: refusal.metadata[name] for name in ("budget", "window", "amount", "spent")}
        assert told == {"budget": "daily", "window": "day", "amount": "0.001", "spent": "0"}


async def test_a_threshold_that_is_crossed_stands_in_the_log() -> None:
    budget = {"daily": {"limit": "0.00001", "period": "day", "hard": False}}
    async with served_node(a_model(script("a", "b", "c")), budgets=budget) as node:
        await node.stubs.models.Generate(wants(), metadata=node.key())
        await node.stubs.models.Generate(wants(), metadata=node.key())
        await (await node.container.budget_accounts.async_()).close()
        (line, *_) = node.lines("budget")
        assert (line["budget"], line["threshold"], line["limit"]) == ("daily", "0.5", "0.00001")


async def test_an_embedder_that_nobody_knows_is_not_found(node: ServedNode) -> None:
    request = embeddings_pb2.EmbedRequest(model="bert", texts=["a"])
    refusal = await refused(node.stubs.models.Embed(request, metadata=node.key()))
    assert refusal.code is StatusCode.NOT_FOUND
    assert refusal.metadata == {"kind": "model", "name": "bert"}


@pytest.mark.parametrize(
    ("fields", "at"),
    [
        ({"task": "poetry"}, "task"),
        ({"session": "s" * 201}, "session"),
        ({"constraints": models_pb2.ModelConstraints(labels=["a", ""])}, "constraints.labels[1]"),
        ({"constraints": models_pb2.ModelConstraints(labels=["a"] * 17)}, "constraints.labels"),
    ],
)
async def test_what_is_wrong_is_named(node: ServedNode, fields: Any, at: str) -> None:
    refusal = await refused(node.stubs.models.Generate(wants(**fields), metadata=node.key()))
    assert refusal.code is StatusCode.INVALID_ARGUMENT
    assert refusal.fields == [at]


async def test_labels_are_demanded(node: ServedNode) -> None:
    constraints = models_pb2.ModelConstraints(labels=["no-training"])
    refusal = await refused(
        node.stubs.models.Generate(wants(constraints=constraints), metadata=node.key())
    )
    assert refusal.code is StatusCode.FAILED_PRECONDITION
    assert "lacks_label (no-training)" in refusal.message


async def test_a_choice_is_explained_without_a_call() -> None:
    first, second = two()
    async with served_node(first, second) as node:
        request = wants(constraints=models_pb2.ModelConstraints(residency="eu"))
        none = await node.stubs.models.ExplainRouting(request, metadata=node.key())
        assert [(r.model, r.obstacle) for r in none.rejections] == [
            ("first", "other_residency"),
            ("second", "other_residency"),
        ]
        told = await node.stubs.models.ExplainRouting(wants(), metadata=node.key())
        assert [c.model for c in told.candidates] == ["first", "second"]
        assert (told.strategy, bool(told.candidates[0].expected_cost.amount)) == ("best_tier", True)
        assert first.calls == second.calls == []
        refusal = await refused(
            node.stubs.models.ExplainRouting(wants(model="gone"), metadata=node.key())
        )
        assert refusal.code is StatusCode.NOT_FOUND


async def test_the_explanation_comes_with_the_answer_where_it_is_asked_for() -> None:
    async with served_node(*two()) as node:
        whole = await node.stubs.models.Generate(wants(explain=True), metadata=node.key())
        assert [c.model for c in whole.routing.candidates] == ["first", "second"]
        stream = node.stubs.models.StreamGenerate(wants(explain=True), metadata=node.key())
        pieces = [piece async for piece in stream]
        assert [bool(piece.routing.candidates) for piece in pieces] == [True, False]
        silent = await node.stubs.models.Generate(wants(), metadata=node.key())
        assert not silent.HasField("routing")


async def test_an_answer_that_nobody_has_seen_begins_anew() -> None:
    cut = a_model(script("Hal", Fail(CUT)), name="first", price="1")
    async with served_node(*two(cut)) as node:
        whole = await node.stubs.models.Generate(wants(), metadata=node.key())
        assert (whole.message.parts[0].text, whole.model) == ("whole", "second")
        assert whole.usage.estimated
        assert whole.usage.prompt_tokens == 10  # both attempts
        refusal = await refused(node.stubs.models.StreamGenerate(wants(), metadata=node.key()))
        assert refusal.reason == "MODELS_UNAVAILABLE"


async def test_health_is_told_and_changes() -> None:
    down = a_model(script(Fail(DOWN)), name="first", price="1")
    async with served_node(*two(down), breaker={"in_a_row": 1}) as node:
        ask = routing_pb2.GetModelHealthRequest(name="first")
        before = await node.stubs.models.GetModelHealth(ask, metadata=node.key())
        assert before.state == routing_pb2.ModelHealth.STATE_UP
        await node.stubs.models.Generate(wants(), metadata=node.key())
        after = await node.stubs.models.GetModelHealth(ask, metadata=node.key())
        assert (after.state, after.cause) == (routing_pb2.ModelHealth.STATE_RESTING, "overloaded")
        assert 0 < after.retry_after.seconds + after.retry_after.nanos / 1e9 <= 5
        listed = await node.stubs.models.ListModels(
            models_pb2.ListModelsRequest(), metadata=node.key()
        )
        states = {m.name: m.health.state for m in listed.models if m.HasField("health")}
        assert states["first"] == routing_pb2.ModelHealth.STATE_RESTING
        assert states["second"] == routing_pb2.ModelHealth.STATE_UP
        gone = routing_pb2.GetModelHealthRequest(name="gone")
        refusal = await refused(node.stubs.models.GetModelHealth(gone, metadata=node.key()))
        assert refusal.code is StatusCode.NOT_FOUND
        nobody = routing_pb2.GetModelHealthRequest()
        refusal = await refused(node.stubs.models.GetModelHealth(nobody, metadata=node.key()))
        assert refusal.fields == ["name"]
