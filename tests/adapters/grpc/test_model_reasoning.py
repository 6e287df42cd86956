"""Log-probabilities, and how long a model thinks, in ModelService."""

from __future__ import annotations

from typing import Any

import pytest
from grpc import StatusCode

from colonnade.v1 import models_pb2, tokens_pb2
from core.catalog import Capability
from core.generation import (
    LogProbabilities,
    ModelError,
    ModelErrorKind,
    ReasoningEffort,
    TokenLogProbability,
)
from fakes.language_model import Fail, Tell, script
from fakes.rich_errors import refused
from fakes.served_node import served_node, user
from fakes.turn_node import a_model

OTHER = TokenLogProbability("No", -2.0)
YES = TokenLogProbability("Yes", -0.25, b"Yes", (OTHER,))
HALF = TokenLogProbability("\ufffd", -1.0, b"\xe7")
TOLD = script("Yes", Tell(LogProbabilities((YES,))), " 灯", Tell(LogProbabilities((HALF,))))
ABLE = frozenset({Capability.LOGPROBS, Capability.REASONING, Capability.REASONING_BUDGET})


def wants(**options: Any) -> models_pb2.GenerateRequest:
    given = models_pb2.GenerationOptions(**options)
    return models_pb2.GenerateRequest(messages=[user("Yes?")], options=given)


def plain(told: Any) -> list[tuple[str, float, bytes, list[str]]]:
    return [(t.token, t.logprob, t.encoded, [a.token for a in t.alternatives]) for t in told]


EXPECTED = [("Yes", -0.25, b"Yes", ["No"]), ("\ufffd", -1.0, b"\xe7", [])]


async def test_log_probabilities_come_whole_and_in_pieces() -> None:
    model = a_model(TOLD, capabilities=ABLE)
    async with served_node(model) as node:
        answer = await node.stubs.models.Generate(wants(logprobs=1), metadata=node.key())
        assert plain(answer.logprobs) == EXPECTED
        assert answer.message.parts[0].text == "Yes 灯"
        stream = node.stubs.models.StreamGenerate(wants(logprobs=1), metadata=node.key())
        told = [token async for piece in stream for token in piece.logprobs]
        assert plain(told) == EXPECTED
        assert [call.request.options.logprobs for call in model.calls] == [1, 1]


async def test_what_was_taken_back_has_no_probabilities() -> None:
    cut = ModelError(ModelErrorKind.CONNECTION, "cut")
    lost = script("Yes", Tell(LogProbabilities((YES,))), Fail(cut))
    first = a_model(lost, name="first", capabilities=ABLE)
    second = a_model(TOLD, name="second", price="2", capabilities=ABLE)
    async with served_node(first, second) as node:
        answer = await node.stubs.models.Generate(wants(logprobs=0), metadata=node.key())
        assert (answer.model, plain(answer.logprobs)) == ("second", EXPECTED)


@pytest.mark.parametrize("effort", list(ReasoningEffort))
async def test_every_effort_reaches_the_model(effort: ReasoningEffort) -> None:
    model = a_model(capabilities=ABLE)
    async with served_node(model) as node:
        number = tokens_pb2.ReasoningEffort.Value(f"REASONING_EFFORT_{effort.name}")
        await node.stubs.models.Generate(wants(reasoning_effort=number), metadata=node.key())
        assert model.calls[0].request.options.reasoning_effort is effort


async def test_a_budget_of_thoughts_reaches_the_model() -> None:
    model = a_model(capabilities=ABLE)
    async with served_node(model) as node:
        await node.stubs.models.Generate(wants(reasoning_tokens=0), metadata=node.key())
        assert model.calls[0].request.options.reasoning_tokens == 0


@pytest.mark.parametrize(
    ("options", "lacks"),
    [
        ({"logprobs": 0}, "logprobs"),
        ({"reasoning_effort": tokens_pb2.REASONING_EFFORT_LOW}, "reasoning"),
        ({"reasoning_tokens": 2_000}, "reasoning_budget"),
    ],
)
async def test_who_cannot_is_not_called(options: dict[str, Any], lacks: str) -> None:
    model = a_model(capabilities=frozenset())
    async with served_node(model) as node:
        refusal = await refused(node.stubs.models.Generate(wants(**options), metadata=node.key()))
        assert (refusal.code, refusal.reason) == (
            StatusCode.FAILED_PRECONDITION,
            "FEATURE_UNSUPPORTED",
        )
        assert lacks in refusal.message
        assert not model.calls


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"logprobs": 21}, "options.logprobs"),
        ({"reasoning_tokens": -1}, "options.reasoning_tokens"),
        ({"reasoning_effort": 99}, "options.reasoning_effort"),
        (
            {"reasoning_effort": tokens_pb2.REASONING_EFFORT_LOW, "reasoning_tokens": 1},
            "options.reasoning_tokens",
        ),
    ],
)
async def test_what_is_wrong_is_named(options: dict[str, Any], field: str) -> None:
    async with served_node(a_model(capabilities=ABLE)) as node:
        refusal = await refused(node.stubs.models.Generate(wants(**options), metadata=node.key()))
        assert (refusal.code, refusal.fields) == (StatusCode.INVALID_ARGUMENT, [field])
