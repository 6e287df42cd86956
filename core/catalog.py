"""The models that there are: what each can do, what it costs, where it stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, IntEnum

from core.identifiers import DeploymentName, Seconds
from core.prices import Prices


class Tier(IntEnum):
    """How far a deployment's words can be trusted; decides how an answer of it is checked."""

    EXTRACTIVE = 0  # quotes, never writes
    TINY = 1  # only what stands in the source passes
    SMALL = 2
    STRONG = 3


class Capability(Enum):
    """What a deployment can do beyond text in, text out."""

    IMAGES = "images"
    TOOLS = "tools"
    JSON_SCHEMA = "json_schema"
    SEED = "seed"
    STOP = "stop"
    EMBEDDINGS = "embeddings"
    LOGPROBS = "logprobs"
    REASONING = "reasoning"  # its effort can be chosen
    REASONING_BUDGET = "reasoning_budget"  # its thoughts can be bounded by a number of tokens


@dataclass(frozen=True, slots=True)
class Limits:
    """What a deployment takes on; None is no limit that we know of.

    `requests_per_minute` and `tokens_per_minute` are the provider's published ones. Calls beyond
    `concurrent` wait, `queued` of them at most and `longest_wait` each; more are turned away.
    `total` bounds one attempt and `first_token` its beginning, both within the caller's deadline.
    """

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrent: int | None = None
    queued: int = 256
    longest_wait: Seconds = Seconds(30.0)
    first_token: Seconds | None = None
    total: Seconds | None = None


@dataclass(frozen=True, slots=True)
class Deployment:
    """One entry of the catalog: a model as one provider serves it.

    `residency` is where the data goes; `labels` are the operator's own, such as `no-training`.
    `takes_prefix`: it goes on from the beginning of an answer that another wrote.
    """

    name: DeploymentName
    model: str
    provider: str
    tier: Tier
    context_window: int
    max_output_tokens: int
    capabilities: frozenset[Capability] = frozenset()
    prices: Prices = field(default_factory=Prices)
    residency: str = ""
    languages: frozenset[str] = frozenset()  # empty: all
    takes_prefix: bool = False
    labels: frozenset[str] = frozenset()
    limits: Limits = Limits()


class Strategy(Enum):
    """How a route orders the deployments that suit."""

    PRIORITY = "priority"  # as they are listed
    BEST_TIER = "best_tier"  # the higher tier, then the cheaper
    WEIGHTED = "weighted"
    LOWEST_COST = "lowest_cost"
    LOWEST_LATENCY = "lowest_latency"
    LEAST_OUTSTANDING = "least_outstanding"  # the better of two drawn ones


class FallbackCause(Enum):
    """Why another deployment is asked; a route may have a chain of its own for each."""

    DOWN = "down"
    RATE = "rate"
    CONTEXT_WINDOW = "context_window"
    CONTENT_FILTER = "content_filter"


@dataclass(frozen=True, slots=True)
class Canary:
    """A deployment on trial: `share` of the keys (0 to 1) go to it, each always the same way."""

    deployment: DeploymentName
    share: float


@dataclass(frozen=True, slots=True)
class Route:
    """A named way through the catalog: candidates, and how they are ordered.

    `weights` are for WEIGHTED and default to 1. `fallbacks` are asked, in this order, when the
    candidate before failed for that cause; without a chain, the other candidates are.
    """

    name: str
    candidates: tuple[DeploymentName, ...]
    strategy: Strategy = Strategy.PRIORITY
    weights: Mapping[DeploymentName, float] = field(default_factory=dict)
    canary: Canary | None = None
    fallbacks: Mapping[FallbackCause, tuple[DeploymentName, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Catalog:
    """Every deployment and route, as one immutable snapshot that a reload swaps whole."""

    deployments: Mapping[DeploymentName, Deployment]
    routes: Mapping[str, Route]
