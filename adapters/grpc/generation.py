"""Options, constraints and filters of a request, to domain values."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Literal, TypeVar

from adapters.grpc import values
from adapters.grpc.violations import below, check, known, too_long
from colonnade.v1 import models_pb2, retrieval_pb2, routing_pb2, tokens_pb2, tools_pb2, usage_pb2
from core.catalog import Tier
from core.errors import FieldViolation, InvalidInput
from core.generation import (
    Constraints,
    GenerationOptions,
    ReasoningEffort,
    ToolChoice,
    ToolDefinition,
)
from core.identifiers import Seconds
from core.knowledge import EVERYTHING, Filter
from core.message_rules import is_json_object
from core.ports.model_gateway import CachePolicy
from core.routing import TaskClass

Given = TypeVar("Given")
_Optional = Literal[
    "temperature",
    "top_p",
    "max_output_tokens",
    "seed",
    "parallel_tool_calls",
    "logprobs",
    "reasoning_tokens",
]
_TIERS = {
    models_pb2.MODEL_TIER_UNSPECIFIED: None,
    models_pb2.MODEL_TIER_EXTRACTIVE: Tier.EXTRACTIVE,
    models_pb2.MODEL_TIER_TINY: Tier.TINY,
    models_pb2.MODEL_TIER_SMALL: Tier.SMALL,
    models_pb2.MODEL_TIER_STRONG: Tier.STRONG,
}
_TOOL_CHOICES = {
    tools_pb2.TOOL_CHOICE_UNSPECIFIED: ToolChoice.AUTO,
    tools_pb2.TOOL_CHOICE_AUTO: ToolChoice.AUTO,
    tools_pb2.TOOL_CHOICE_NONE: ToolChoice.NONE,
    tools_pb2.TOOL_CHOICE_REQUIRED: ToolChoice.REQUIRED,
    tools_pb2.TOOL_CHOICE_ONE: ToolChoice.ONE,
}
_LONGEST_OBJECTIVE = 600.0
_LONGEST_LABEL, _MOST_LABELS = 64, 16
_TASKS = {
    task.value: task
    for task in TaskClass
    if task not in (TaskClass.EMBEDDING, TaskClass.GROUNDED_ANSWER)
}
_MONEY = re.compile(r"[0-9]{1,18}(?:\.[0-9]{1,12})?")
_ATTRIBUTE = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_MOST_CONDITIONS, _MOST_VALUES, _LONGEST_VALUE = 20, 100, 1000


_EFFORTS = {
    tokens_pb2.REASONING_EFFORT_UNSPECIFIED: None,
    tokens_pb2.REASONING_EFFORT_NONE: ReasoningEffort.NONE,
    tokens_pb2.REASONING_EFFORT_MINIMAL: ReasoningEffort.MINIMAL,
    tokens_pb2.REASONING_EFFORT_LOW: ReasoningEffort.LOW,
    tokens_pb2.REASONING_EFFORT_MEDIUM: ReasoningEffort.MEDIUM,
    tokens_pb2.REASONING_EFFORT_HIGH: ReasoningEffort.HIGH,
}


def options(
    message: models_pb2.GenerationOptions, tools: tuple[ToolDefinition, ...] = ()
) -> GenerationOptions:
    """How the model writes; what is unset is the deployment's own. Raises below `options`."""
    if not message.ByteSize() and not tools:
        return GenerationOptions()
    effort = known(_EFFORTS, message.reasoning_effort, "options.reasoning_effort")
    if effort is not None and message.HasField("reasoning_tokens"):
        raise InvalidInput.at("options.reasoning_tokens", "only without reasoning_effort")
    choice = known(_TOOL_CHOICES, message.tool_choice, "options.tool_choice")
    with below("options"):
        return GenerationOptions(
            temperature=_given(message, "temperature", message.temperature),
            top_p=_given(message, "top_p", message.top_p),
            max_output_tokens=_given(message, "max_output_tokens", message.max_output_tokens),
            stop=tuple(message.stop),
            seed=_given(message, "seed", message.seed),
            response_schema=schema(message.response_schema, "options.response_schema"),
            tool_choice=choice,
            chosen_tool=message.chosen_tool,
            tools=tools,
            parallel_tool_calls=_given(message, "parallel_tool_calls", message.parallel_tool_calls),
            logprobs=_given(message, "logprobs", message.logprobs),
            reasoning_effort=effort,
            reasoning_tokens=_given(message, "reasoning_tokens", message.reasoning_tokens),
        )


def schema(text: str, field: str) -> str:
    """A schema of the answer; "" is none. Raises InvalidInput at the field."""
    if text and not is_json_object(text):
        raise InvalidInput.at(field, "must be a JSON Schema, an object")
    return text


def _given(message: models_pb2.GenerationOptions, field: _Optional, value: Given) -> Given | None:
    """The value where the caller has set the field: zero is a value, too."""
    return value if message.HasField(field) else None


def constraints(message: models_pb2.ModelConstraints) -> Constraints:
    """What the model may be chosen by. Raises InvalidInput below `constraints`."""
    if not message.ByteSize():
        return Constraints()
    check(_constraint_violations(message))
    return Constraints(
        max_cost=_money(message.max_cost) if message.HasField("max_cost") else None,
        latency_objective=_objective(message),
        tier=known(_TIERS, message.tier, "constraints.tier"),
        residency=message.residency,
        labels=frozenset(message.labels),
    )


def task(name: str) -> TaskClass:
    """The kind of work. Raises InvalidInput at `task`."""
    if not name:
        return TaskClass.CHAT
    if name not in _TASKS:
        raise InvalidInput.at("task", f"must be one of {', '.join(sorted(_TASKS))}")
    return _TASKS[name]


def cache(message: routing_pb2.CachePolicy) -> CachePolicy:
    """The use of the cache. Raises InvalidInput below `cache`."""
    longest = values.seconds(message.max_age) if message.HasField("max_age") else None
    if longest is not None and longest <= 0:
        raise InvalidInput.at("cache.max_age", "must be above 0")
    return CachePolicy(message.read, message.write, longest)


def _constraint_violations(message: models_pb2.ModelConstraints) -> Iterator[FieldViolation]:
    yield from too_long(message.residency, _LONGEST_LABEL, "constraints.residency")
    if len(message.labels) > _MOST_LABELS:
        yield FieldViolation("constraints.labels", f"are more than {_MOST_LABELS}")
    for index, label in enumerate(message.labels):
        if not 1 <= len(label) <= _LONGEST_LABEL:
            yield FieldViolation(
                f"constraints.labels[{index}]", f"must be 1 to {_LONGEST_LABEL} characters"
            )


def _objective(message: models_pb2.ModelConstraints) -> Seconds | None:
    if not message.HasField("latency_objective"):
        return None
    objective = values.seconds(message.latency_objective)
    if not 0 < objective <= _LONGEST_OBJECTIVE:
        raise InvalidInput.at(
            "constraints.latency_objective", "must be above 0 and at most 10 minutes"
        )
    return objective


def _money(value: usage_pb2.Money) -> Decimal:
    if not _MONEY.fullmatch(value.amount):
        raise InvalidInput.at(
            "constraints.max_cost.amount",
            "must be a decimal number such as 0.05, of at most 18 digits before the point and "
            "12 after it",
        )
    return Decimal(value.amount)


def document_filter(message: retrieval_pb2.Filter) -> Filter:
    """Which documents count. Raises InvalidInput below `filter`."""
    if not message.conditions:
        return EVERYTHING
    check(_filter_violations(message))
    return Filter({c.attribute: frozenset(c.values) for c in message.conditions})


def _filter_violations(message: retrieval_pb2.Filter) -> Iterator[FieldViolation]:
    if len(message.conditions) > _MOST_CONDITIONS:
        yield FieldViolation("filter.conditions", f"are more than {_MOST_CONDITIONS}")
    named = Counter(condition.attribute for condition in message.conditions)
    for index, condition in enumerate(message.conditions):
        at = f"filter.conditions[{index}]"
        if not _ATTRIBUTE.fullmatch(condition.attribute):
            yield FieldViolation(
                f"{at}.attribute", "must be 1 to 64 characters of A-Z a-z 0-9 _ . -"
            )
        elif named[condition.attribute] > 1:
            yield FieldViolation(f"{at}.attribute", "has another condition; give one all values")
        if not 1 <= len(condition.values) <= _MOST_VALUES:
            yield FieldViolation(f"{at}.values", f"must be 1 to {_MOST_VALUES} values")
        if any(len(value) > _LONGEST_VALUE for value in condition.values):
            yield FieldViolation(
                f"{at}.values", f"has one of more than {_LONGEST_VALUE} characters"
            )
