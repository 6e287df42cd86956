"""The way to every model: routing, attempts and booking behind one stream."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Protocol

from core.call import Call
from core.catalog import Deployment, Tier
from core.generation import (
    Constraints,
    GenerationOptions,
    ReasoningDelta,
    RefusalDelta,
    StopCause,
    TextDelta,
    TokenUsage,
)
from core.identifiers import DeploymentName, Seconds, TenantId, UserId
from core.knowledge import Passage
from core.prompting.parts import PromptPart
from core.routing import TaskClass


@dataclass(frozen=True, slots=True)
class SpendingUnit:
    """On whose behalf is spent: a turn's run, or a bare generation (`epoch` None).

    Attempts of a turn are begun only while the turn still has this epoch.
    """

    id: str
    tenant: TenantId
    user: UserId
    feature: str = ""
    run: int = 1
    epoch: int | None = None


@dataclass(frozen=True, slots=True)
class GenerationOrder:
    """What is wanted of a model, before anyone knows of which."""

    unit: SpendingUnit
    parts: tuple[PromptPart, ...]
    question: str
    deadline: Seconds
    context: tuple[Passage, ...] = ()
    task: TaskClass = TaskClass.CHAT
    model: str = ""
    minimum_tier: Tier | None = None
    only_extractive: bool = False
    constraints: Constraints = field(default_factory=Constraints)
    options: GenerationOptions = field(default_factory=GenerationOptions)
    language: str = ""


@dataclass(frozen=True, slots=True)
class Selected:
    """This deployment is about to be asked; always the first event, and again after Switched."""

    deployment: Deployment
    attempt: int
    prompt_tokens: int
    dropped: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Switched:
    """One deployment failed before any text, and another is asked.

    `attempt` is the number of the attempt that failed; 0 where it did not come to a call.
    """

    failed: DeploymentName
    next: DeploymentName
    attempt: int
    cause: str


@dataclass(frozen=True, slots=True)
class Completed:
    """The last event of a good generation: why it stopped, and what its attempts used."""

    cause: StopCause
    deployment: Deployment
    attempt: int
    usage: TokenUsage
    estimated: bool
    cost: Decimal | None
    currency: str


GatewayEvent = Selected | Switched | TextDelta | ReasoningDelta | RefusalDelta | Completed


class ModelGateway(Protocol):
    """Generates through whichever deployment suits and is healthy."""

    def generate(self, call: Call, order: GenerationOrder) -> AsyncGenerator[GatewayEvent, None]:
        """The events of one generation. Closing it stops the model and books what was used.

        Raises ModelsUnavailable when every candidate failed, or one did after its first text;
        FeatureUnsupported or NotFound where none suits; ContextTooLong where none has the room.
        """
