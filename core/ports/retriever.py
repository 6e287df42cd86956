"""Search over a tenant's collections, as chat sees it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from core.call import Call
from core.identifiers import CollectionName
from core.knowledge import EVERYTHING, Filter, Passage


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """What is searched for, where. `limit` passages at most come back, from 1 to 100."""

    query: str
    collections: tuple[CollectionName, ...]
    limit: int = 8
    where: Filter = EVERYTHING


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The passages, best first. `missing` names the signals that were late or down."""

    passages: tuple[Passage, ...]
    missing: tuple[str, ...] = ()


class Retriever(Protocol):
    """Finds passages. Hosted here or elsewhere; the caller can't tell."""

    async def search(self, call: Call, request: SearchRequest) -> SearchResult:
        """The best passages of all the collections together.

        Raises NotFound for a collection that the tenant does not have, Unavailable where
        neither index can answer within the call's deadline.
        """
