"""Search over a tenant's collections, as chat and the retrieval service see it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Protocol

from pydantic import Field
from pydantic.dataclasses import dataclass as checked

from core.call import Call
from core.checking import QUIET
from core.identifiers import CollectionName, Position
from core.knowledge import EVERYTHING, Filter, Passage

LONGEST_QUERY = 10_000
"""Characters of a query that are taken."""


class Strategy(Enum):
    """How passages are found: by meaning, by words, or by both, fused."""

    HYBRID = "hybrid"
    VECTOR = "vector"
    KEYWORD = "keyword"


@checked(frozen=True, slots=True, config=QUIET)
class SearchRequest:
    """What is searched for, where. `at_least`: the search sees the write at this position."""

    query: Annotated[str, Field(min_length=1, max_length=LONGEST_QUERY, pattern=r"\S")]
    collections: Annotated[tuple[CollectionName, ...], Field(min_length=1, max_length=20)]
    limit: Annotated[int, Field(ge=1, le=100)] = 10
    where: Filter = EVERYTHING
    strategy: Strategy = Strategy.HYBRID
    at_least: Position = Position(0)


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The passages, best first. `missing` names the signals that were late or down."""

    passages: tuple[Passage, ...]
    missing: tuple[str, ...] = ()


class Retriever(Protocol):
    """Finds passages. Hosted here or elsewhere; the caller can't tell."""

    async def search(self, call: Call, request: SearchRequest) -> SearchResult:
        """The best passages of all the collections together.

        Raises NotFound for a collection that the tenant does not have, FeatureUnsupported where
        its embedder is not here, Unavailable where no index can answer within the deadline.
        """
