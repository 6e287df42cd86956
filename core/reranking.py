"""Documents in the order of how well each answers a query."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from core.call import CallFacts
from core.generation import TokenUsage


@dataclass(frozen=True, slots=True)
class RerankOrder:
    """What is to be put in order. `model` "" leaves the choice to the settings.

    `limit` is the most that is wanted back; None: every document.
    """

    query: str
    documents: tuple[str, ...]
    model: str = ""
    limit: int | None = None
    feature: str = ""


@dataclass(frozen=True, slots=True)
class Ranked:
    """A document by its place in the order's list, and how well it answers: higher is better."""

    index: int
    score: float


@dataclass(frozen=True, slots=True)
class Reranked:
    """The answer, the best first, and what it came to. Unknown figures are None, not zero."""

    model: str
    ranked: tuple[Ranked, ...]
    usage: TokenUsage = TokenUsage()
    cost: Decimal | None = None
    currency: str = ""
    estimated: bool = False

    def note(self, facts: CallFacts) -> None:
        """Leave in the call's log line what it came to."""
        facts.model_version = self.model
        facts.token_count = self.usage.prompt
        facts.cost, facts.currency = self.cost, self.currency


def best_first(scores: Sequence[float], limit: int | None = None) -> tuple[Ranked, ...]:
    """The documents by their scores; of equal ones, that which came first."""
    places = sorted(range(len(scores)), key=lambda place: (-scores[place], place))
    return tuple(Ranked(place, scores[place]) for place in places[:limit])
