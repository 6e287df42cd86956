"""What is to be served, and what the operator wants of routing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from enum import Enum

from core.catalog import Capability, Strategy, Tier
from core.generation import Constraints, GenerationOptions, ToolChoice
from core.identifiers import DeploymentName
from core.messages import ImagePart, Message, ToolCallPart, ToolResultPart


class TaskClass(Enum):
    """What kind of work a request is. Routing may have a route for each."""

    __hash__ = object.__hash__  # Enum has its own, in Python

    CHAT = "chat"
    GROUNDED_ANSWER = "grounded_answer"
    SUMMARISATION = "summarisation"
    CLASSIFICATION = "classification"
    EXTRACTION = "extraction"
    REASONING = "reasoning"
    TOOL_USE = "tool_use"
    EMBEDDING = "embedding"


SIMPLE = frozenset({TaskClass.SUMMARISATION, TaskClass.CLASSIFICATION, TaskClass.EXTRACTION})
"""What a small model does as well: without a route, the cheapest that is good enough does it."""


@dataclass(frozen=True, slots=True)
class RoutingPolicy:
    """The operator's choices. `routes` names the route of a task class; none means the catalog.

    A grounded answer is written by a deployment of `grounded_tier` at least; where none is,
    the extractive deployment quotes it. `simple_tier` is good enough for simple tasks: without
    a route, deployments below it come last for those. `accept_unknown_price` lets a deployment
    without prices serve a request with a cost limit.
    """

    routes: Mapping[TaskClass, str] = field(default_factory=dict)
    grounded_tier: Tier = Tier.SMALL
    simple_tier: Tier = Tier.SMALL
    accept_unknown_price: bool = False

    def strategy(self, task: TaskClass) -> Strategy:
        """How the whole catalog is ordered for a task that has no route."""
        return Strategy.LOWEST_COST if task in SIMPLE else Strategy.BEST_TIER


@dataclass(frozen=True, slots=True)
class RoutingRequest:
    """What is to be served.

    `model` is a deployment's, a model's or a route's name; "" leaves the choice to the policy.
    `prompt_tokens` are known to be needed at least; `expected_prompt` is a guess that only ranks.
    `output_tokens` is what the caller wants at most (None: what the deployment has). `language`
    is the text's BCP-47 tag, "" if unknown. `only_quotes` asks for an extractive deployment.
    `key` is what a canary's share is drawn by, such as a conversation; `holder` the deployment
    that has its prompt in a cache.
    """

    task: TaskClass
    model: str = ""
    constraints: Constraints = field(default_factory=Constraints)
    capabilities: frozenset[Capability] = frozenset()
    prompt_tokens: int = 0
    output_tokens: int | None = None
    language: str = ""
    minimum_tier: Tier | None = None
    only_quotes: bool = False
    expected_prompt: int = 0
    key: str = ""
    holder: DeploymentName | None = None


_DEMANDS = (ToolChoice.REQUIRED, ToolChoice.ONE)
_OF_TOOLS = frozenset({ToolCallPart, ToolResultPart})


def needed_capabilities(
    options: GenerationOptions, messages: Sequence[Message]
) -> frozenset[Capability]:
    """What a deployment must be able to do for these options and messages.

    Tools are needed where there are some that may be called, and where the messages speak of
    calls: a history of them is no text.
    """
    return needs_of(options, {type(part) for message in messages for part in message.parts})


def needs_of(options: GenerationOptions, kinds: Set[type]) -> frozenset[Capability]:
    """The same of messages whose parts are of these kinds."""
    choice = options.tool_choice
    may_call = options.tools and choice is not ToolChoice.NONE
    return frozenset(
        (
            *((Capability.SEED,) if options.seed is not None else ()),
            *((Capability.STOP,) if options.stop else ()),
            *((Capability.JSON_SCHEMA,) if options.response_schema else ()),
            *((Capability.TOOLS,) if may_call or choice in _DEMANDS or kinds & _OF_TOOLS else ()),
            *((Capability.IMAGES,) if ImagePart in kinds else ()),
            *((Capability.LOGPROBS,) if options.logprobs is not None else ()),
            *((Capability.REASONING,) if options.reasoning_effort is not None else ()),
            *((Capability.REASONING_BUDGET,) if options.reasoning_tokens is not None else ()),
        )
    )
