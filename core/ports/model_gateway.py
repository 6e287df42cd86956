"""The way to every model: routing, attempts and booking behind one stream."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Protocol

from core.call import Call
from core.catalog import Deployment, Tier
from core.generation import (
    AnswerOrigin,
    Constraints,
    GenerationOptions,
    LogProbabilities,
    ReasoningDelta,
    ReasoningSealed,
    RefusalDelta,
    SourceCited,
    StopCause,
    TextDelta,
    TokenUsage,
    ToolCallDelta,
)
from core.identifiers import ApiKeyId, DeploymentName, Seconds, TenantId, UserId
from core.knowledge import Passage
from core.prompting.parts import PromptPart
from core.routing import RoutingDecision, TaskClass


@dataclass(frozen=True, slots=True)
class SpendingUnit:
    """On whose behalf is spent: a turn's run, or a bare generation (`epoch` None).

    Attempts of a turn are begun only while the turn still has this epoch. What each attempt is
    paid through and from, the API key and the holder of a budget's lease, is filled in right
    before it is made.
    """

    id: str
    tenant: TenantId
    user: UserId
    feature: str = ""
    run: int = 1
    epoch: int | None = None
    key: ApiKeyId = ApiKeyId("")
    holder: str = ""

    def paid(self, key: ApiKeyId, holder: str) -> SpendingUnit:
        """The same, with what an attempt of it is paid through and from."""
        if key == self.key and holder == self.holder:
            return self
        return SpendingUnit(
            self.id, self.tenant, self.user, self.feature, self.run, self.epoch, key, holder
        )


@dataclass(frozen=True, slots=True)
class CachePolicy:
    """Whether an answer may come from the tenant's cache, and whether it goes there.

    An entry older than `longest` is not taken; None takes any that is still kept.
    """

    read: bool = False
    write: bool = False
    longest: Seconds | None = None


UNCACHED = CachePolicy()


@dataclass(frozen=True, slots=True)
class GenerationOrder:
    """What is wanted of a model, before anyone knows of which.

    `key` names what the request belongs to (a conversation): it stays with the deployment that
    has its prompt in a cache, and on the same side of a canary. `accepts_restart`: whoever reads
    can take back what was said so far. `explain` asks for the routing decision. `begun` is the
    beginning of the answer, which the readers have already: who is asked goes on from it.
    `whole`: nobody reads the answer before its end. `fresh`: this process has just made the unit
    for this order alone, so that no attempt of it is on record yet; that does not travel.
    """

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
    key: str = ""
    accepts_restart: bool = False
    explain: bool = False
    cache: CachePolicy = UNCACHED
    begun: str = ""
    whole: bool = False
    fresh: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class Routed:
    """How the deployment was chosen; the first event where the order asked for it."""

    decision: RoutingDecision


@dataclass(frozen=True, slots=True)
class Selected:
    """This deployment is about to be asked; before all text, and again after Switched.

    `continues`: it goes on from the text that another wrote.
    """

    deployment: Deployment
    attempt: int
    prompt_tokens: int
    dropped: tuple[str, ...] = ()
    continues: bool = False


@dataclass(frozen=True, slots=True)
class Switched:
    """One deployment failed, or was slow, and another is asked.

    `attempt` is the number of the attempt that failed; 0 where it did not come to a call.
    """

    failed: DeploymentName
    next: DeploymentName
    attempt: int
    cause: str


@dataclass(frozen=True, slots=True)
class Restarted:
    """All that was said so far is void: another deployment begins anew. Before its Selected.

    Sent only where the order accepts it.
    """

    failed: DeploymentName
    cause: str


@dataclass(frozen=True, slots=True)
class Spent:
    """What all attempts of a generation came to. `cost` None is unknown.

    `saved` is what a cache's answer would have cost again, None where it is none or unknown.
    """

    usage: TokenUsage
    cost: Decimal | None
    attempts: int = 1
    estimated: bool = False
    saved: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Completed:
    """The last event of a good generation: why it stopped, and what its attempts used.

    `usage`, `estimated` and `cost` are the last attempt's; `spent` is all of them together.
    `cached`: the answer came from the cache, or from an equal request that ran already; then
    there was no attempt, and nothing was used.
    """

    cause: StopCause
    deployment: Deployment
    attempt: int
    usage: TokenUsage
    estimated: bool
    cost: Decimal | None
    currency: str
    spent: Spent | None = None
    cached: bool = False
    stop_sequence: str = ""


Said = (
    TextDelta
    | ReasoningDelta
    | RefusalDelta
    | AnswerOrigin
    | ReasoningSealed
    | ToolCallDelta
    | LogProbabilities
    | SourceCited
)
"""What a model itself streams, but for its end."""

GatewayEvent = Routed | Selected | Switched | Restarted | Said | Completed
"""A reader passes over the kinds that it does not know."""


class GatewayEvents(Protocol):
    """The events of one generation. One task reads them, and closes them, however far it came."""

    def __aiter__(self) -> AsyncIterator[GatewayEvent]: ...

    def __anext__(self) -> Awaitable[GatewayEvent]: ...

    def aclose(self) -> Awaitable[None]:
        """Stop the model; returns once what was used is booked."""


class ModelGateway(Protocol):
    """Generates through whichever deployment suits and is healthy."""

    def generate(self, call: Call, order: GenerationOrder) -> GatewayEvents:
        """The events of one generation. Nothing happens before the first is asked for.

        When a deployment fails after its first text, another goes on from that text where it
        can; else it begins anew, after Restarted, where the order accepts that; else the failure
        ends the generation. After a proposal of a tool call nobody else is asked.

        Raises ModelsUnavailable when every candidate failed, or one did and no other could go
        on; BudgetSpent where a budget is spent, and Exhausted where nobody had room for it;
        FeatureUnsupported or NotFound where none suits; ContextTooLong where none has the room.
        """
