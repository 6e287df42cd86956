"""What travels between two processes arrives as it was, whatever it is: nothing is left behind."""

from __future__ import annotations

import string
from dataclasses import fields, replace
from datetime import date
from decimal import Decimal
from typing import Any, TypeVar, cast, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.grpc.gateway_events import event_from, event_message
from adapters.grpc.gateway_orders import order_from, order_message
from colonnade.v1.gateway_events_pb2 import RunGenerationResponse
from colonnade.v1.gateway_pb2 import RunGenerationRequest
from core.catalog import Deployment, Limits
from core.generation import (
    Constraints,
    GenerationOptions,
    TokenLogProbability,
    TokenUsage,
    ToolDefinition,
)
from core.identifiers import Seconds
from core.knowledge import Chunk, Passage
from core.messages import ReasoningPart, ToolResultPart
from core.ports.model_gateway import (
    CachePolicy,
    GatewayEvent,
    GenerationOrder,
    SpendingUnit,
    Spent,
)
from core.prices import Prices, Rates
from core.prompting.parts import PromptPart, Provenance
from core.routing import Candidate, Rejection, Rest, Standing

NAMES = st.text(string.ascii_letters + string.digits + "好 -.", max_size=8)
TOOL_NAMES = st.text(string.ascii_letters, min_size=1, max_size=8)
COUNTS = st.integers(0, 2**31 - 1)
AMOUNTS = st.decimals(0, 1000, places=6)
SECONDS = st.integers(0, 10**4).map(lambda eighths: Seconds(eighths / 8))
"""Which are exact in nanoseconds and in a float."""
FLOATS = st.floats(-1e6, 1e6, allow_nan=False)
MAYBE_SECONDS = st.none() | SECONDS
MAYBE_AMOUNT = st.none() | AMOUNTS

st.register_type_strategy(str, NAMES)
st.register_type_strategy(int, COUNTS)
st.register_type_strategy(float, FLOATS)
st.register_type_strategy(Decimal, AMOUNTS)
st.register_type_strategy(date, st.dates())

T = TypeVar("T")


def whole(kind: type[T], **given: Any) -> st.SearchStrategy[T]:
    """Values of a dataclass with every field drawn, those with a default too."""
    strategy = st.builds(kind, **{f.name: given.get(f.name, ...) for f in fields(cast(Any, kind))})
    st.register_type_strategy(kind, strategy)
    return strategy


whole(Rates, input=MAYBE_AMOUNT, output=MAYBE_AMOUNT)
whole(Prices, input=MAYBE_AMOUNT, long_from=st.none() | st.integers(1, 10**6))
whole(Limits, longest_wait=SECONDS, first_token=MAYBE_SECONDS, total=MAYBE_SECONDS)
whole(Deployment)
whole(Rest, again_in=SECONDS)
whole(Standing, first_token=MAYBE_SECONDS, slow_first_token=MAYBE_SECONDS)
whole(Rejection, again_in=MAYBE_SECONDS)
whole(SpendingUnit, key=st.just(""), holder=st.just(""))  # filled in where an attempt is made
for simple in (Candidate, TokenUsage, Spent, Chunk, Passage, Provenance, PromptPart):
    whole(simple)
for part in (ToolResultPart, ReasoningPart):
    whole(part)
ALTERNATIVES = st.lists(st.builds(TokenLogProbability, NAMES, FLOATS), max_size=2).map(tuple)
ENCODED = st.none() | st.binary(max_size=3)
whole(TokenLogProbability, encoded=ENCODED, alternatives=ALTERNATIVES)
tools = st.builds(ToolDefinition, TOOL_NAMES, NAMES, NAMES, st.booleans())
whole(
    GenerationOptions,
    temperature=st.none() | st.floats(0, 2),
    top_p=st.none() | st.floats(0.1, 1),
    max_output_tokens=st.none() | st.integers(1, 10**6),
    stop=st.lists(NAMES.filter(bool), max_size=3).map(tuple),
    seed=st.none() | COUNTS,
    response_schema=NAMES,
    chosen_tool=NAMES,
    tools=st.lists(tools, max_size=2).map(tuple),
    parallel_tool_calls=st.none() | st.booleans(),
    logprobs=st.none() | st.integers(0, 20),
    cache_key=NAMES,
    reasoning_tokens=st.none() | st.integers(0, 10**6),
)
whole(Constraints, latency_objective=MAYBE_SECONDS)
whole(CachePolicy, longest=MAYBE_SECONDS)
orders = whole(GenerationOrder, deadline=SECONDS)
KINDS: tuple[Any, ...] = get_args(GatewayEvent)
for kind in KINDS:
    whole(kind)


@settings(max_examples=60, deadline=None)
@given(orders)
def test_an_order_arrives_whole(order: GenerationOrder) -> None:
    left = Seconds(2.5)
    sent = order_message(order, left).SerializeToString()
    arrived = order_from(RunGenerationRequest.FromString(sent), Seconds(100.0))
    assert arrived == replace(order, deadline=Seconds(102.5))


@settings(max_examples=100, deadline=None)
@given(st.one_of([st.from_type(kind) for kind in KINDS]))
def test_an_event_arrives_whole(event: GatewayEvent) -> None:
    sent = event_message(event).SerializeToString()
    assert event_from(RunGenerationResponse.FromString(sent)) == event


def test_an_event_that_came_later_than_we_is_passed_over() -> None:
    later = b"\xa2\x06\x03new"  # field 100
    assert event_from(RunGenerationResponse.FromString(later)) is None


def test_a_word_that_came_later_than_we_is_said_to_be_unknown() -> None:
    with pytest.raises(ValueError, match="divination"):
        order_from(RunGenerationRequest(task="divination"), Seconds(0.0))
