"""Options, constraints and filters of a request, to domain values."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from adapters.grpc import values
from colonnade.v1 import models_pb2, retrieval_pb2, usage_pb2
from core.errors import FieldViolation, InvalidInput
from core.generation import Constraints, GenerationOptions, Tier, ToolChoice
from core.identifiers import Seconds
from core.knowledge import Filter

_TIERS = {
    models_pb2.MODEL_TIER_UNSPECIFIED: None,
    models_pb2.MODEL_TIER_EXTRACTIVE: Tier.EXTRACTIVE,
    models_pb2.MODEL_TIER_TINY: Tier.TINY,
    models_pb2.MODEL_TIER_SMALL: Tier.SMALL,
    models_pb2.MODEL_TIER_STRONG: Tier.STRONG,
}
_TOOL_CHOICES = {
    models_pb2.TOOL_CHOICE_UNSPECIFIED: ToolChoice.AUTO,
    models_pb2.TOOL_CHOICE_AUTO: ToolChoice.AUTO,
    models_pb2.TOOL_CHOICE_NONE: ToolChoice.NONE,
    models_pb2.TOOL_CHOICE_REQUIRED: ToolChoice.REQUIRED,
}
_LONGEST_OBJECTIVE = 600.0


def options(message: models_pb2.GenerationOptions) -> GenerationOptions:
    """How the model writes; what is unset is the deployment's own."""
    return GenerationOptions(
        temperature=message.temperature if message.HasField("temperature") else None,
        top_p=message.top_p if message.HasField("top_p") else None,
        max_output_tokens=(
            message.max_output_tokens if message.HasField("max_output_tokens") else None
        ),
        stop=tuple(message.stop),
        seed=message.seed if message.HasField("seed") else None,
        response_schema=message.response_schema,
        tool_choice=_TOOL_CHOICES.get(message.tool_choice, ToolChoice.AUTO),
    )


def constraints(message: models_pb2.ModelConstraints) -> Constraints:
    """What the model may be chosen by. Raises InvalidInput below `constraints`."""
    if message.tier not in _TIERS:
        raise InvalidInput.at("constraints.tier", "is no tier that this server knows")
    objective: Seconds | None = None
    if message.HasField("latency_objective"):
        objective = values.seconds(message.latency_objective)
        if not 0 < objective <= _LONGEST_OBJECTIVE:
            raise InvalidInput.at(
                "constraints.latency_objective", "must be above 0 and at most 10 minutes"
            )
    return Constraints(
        max_cost=_money(message.max_cost) if message.HasField("max_cost") else None,
        latency_objective=objective,
        tier=_TIERS[message.tier],
        residency=message.residency,
    )


def _money(value: usage_pb2.Money) -> Decimal:
    try:
        amount = Decimal(value.amount)
    except InvalidOperation as error:
        raise _not_money() from error
    if not amount.is_finite() or amount < 0:
        raise _not_money()
    return amount


def _not_money() -> InvalidInput:
    return InvalidInput.at(
        "constraints.max_cost.amount", "must be a decimal number such as 0.05, not below zero"
    )


def document_filter(message: retrieval_pb2.Filter) -> Filter:
    """Which documents count. Raises InvalidInput below `filter`."""
    violations = [
        FieldViolation(f"filter.conditions[{i}].values", "names no value; 1 to 100 are taken")
        for i, condition in enumerate(message.conditions)
        if not 1 <= len(condition.values) <= 100
    ]
    if violations:
        raise InvalidInput(violations)
    return Filter({c.attribute: frozenset(c.values) for c in message.conditions})
