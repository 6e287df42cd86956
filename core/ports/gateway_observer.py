"""What the gateway tells operators of the calls that it makes."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from core.catalog import Deployment
from core.generation import TokenUsage
from core.identifiers import DeploymentName, Seconds


@dataclass(frozen=True, slots=True)
class AttemptEnded:
    """One call of one deployment, as it was booked.

    `operation` is `chat`, `embeddings` or `rerank`; `outcome` is `ok`, the kind of its error, or
    `stopped` where nobody wanted it any more. `first` is the time to its first piece, None where
    none came or it came whole. `estimated`: the provider did not count all of it. `cost` None is
    unknown.
    """

    deployment: Deployment
    operation: str
    outcome: str
    seconds: Seconds
    first: Seconds | None
    usage: TokenUsage
    estimated: bool
    cost: Decimal | None


class GatewayObserver(Protocol):
    """Takes facts and returns at once; it never raises and never blocks the loop."""

    def attempt_ended(self, ended: AttemptEnded) -> None:
        """A call of a deployment is over."""

    def answered_without_call(self, saved: Decimal | None, currency: str) -> None:
        """An answer came from the cache, or along with an equal request; what that spared."""

    def key_rested(self, deployment: DeploymentName, why: str) -> None:
        """One of several keys was limited, or refused, and is left alone; `why` is the error."""


class QuietGateway:
    """A GatewayObserver that nobody listens to."""

    def attempt_ended(self, ended: AttemptEnded) -> None:
        """See GatewayObserver."""

    def answered_without_call(self, saved: Decimal | None, currency: str) -> None:
        """See GatewayObserver."""

    def key_rested(self, deployment: DeploymentName, why: str) -> None:
        """See GatewayObserver."""


QUIET_GATEWAY = QuietGateway()
