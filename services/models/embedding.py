"""Vectors for callers: from the tenant's cache where they are known, else counted and booked."""

from __future__ import annotations

import hashlib
from array import array
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial

from core.call import Call
from core.catalog import Deployment
from core.clock import NewId
from core.generation import TokenUsage
from core.identifiers import EmbedderName, TenantId
from core.knowledge import Vector
from core.ports.embedder import CountingEmbedder, Embedded, Embedder, TextKind
from core.ports.gateway_observer import QUIET_GATEWAY, GatewayObserver
from core.ports.model_gateway import SpendingUnit, Spent
from core.prices import cost_of
from services.embedders import Embedders
from services.models.attempts import Attempts
from services.models.paid_calls import PaidCalls
from services.models.spending import NO_BUDGETS, Budgets
from services.models.stored_vectors import StoredVectors

_SPECIAL_TOKENS = 2
"""What tokenizers put around a text. No token is shorter than a byte: that bounds the rest."""


@dataclass(frozen=True, slots=True)
class EmbeddedTexts:
    """Vectors in the order of the texts, and what was paid for those that were not known.

    `spent` is None where the embedder does not count: then it has no price either.
    """

    embedder: Embedder
    vectors: Sequence[Vector]
    spent: Spent | None
    currency: str
    cached: int


class EmbeddingCache:
    """Vectors in memory, up to so many bytes; those that were not used for longest go first."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._vectors: OrderedDict[tuple[TenantId, EmbedderName, TextKind, bytes], Vector]
        self._vectors = OrderedDict()

    def get(
        self, tenant: TenantId, embedder: EmbedderName, kind: TextKind, text: str
    ) -> Vector | None:
        """The text's vector, if it is known to this tenant."""
        key = (tenant, embedder, kind, _digest(text))
        found = self._vectors.get(key)
        if found is not None:
            self._vectors.move_to_end(key)
        return found

    def put(
        self, tenant: TenantId, embedder: EmbedderName, kind: TextKind, text: str, vector: Vector
    ) -> None:
        """Keep a copy: a vector of a batch holds the whole batch."""
        key = (tenant, embedder, kind, _digest(text))
        if key in self._vectors or vector.nbytes > self._most_bytes:
            return
        self._vectors[key] = _copy(vector)
        self._bytes += vector.nbytes
        while self._bytes > self._most_bytes:
            _, dropped = self._vectors.popitem(last=False)
            self._bytes -= dropped.nbytes


def _copy(vector: Vector) -> Vector:
    return memoryview(array("f", vector.tobytes()))


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


class Embedding:
    """Embeds for a caller."""

    def __init__(
        self,
        embedders: Embedders,
        attempts: Attempts,
        cache: EmbeddingCache,
        new_id: NewId,
        budgets: Budgets = NO_BUDGETS,
        observer: GatewayObserver = QUIET_GATEWAY,
        stored: StoredVectors | None = None,
    ) -> None:
        """`stored` are those that other processes, or earlier ones, have left in the state."""
        self._stored = stored
        self._embedders = embedders
        self._calls = PaidCalls("embeddings", attempts, budgets, observer)
        self._cache = cache
        self._new_id = new_id

    async def embed(
        self, call: Call, texts: Sequence[str], kind: TextKind, model: str, feature: str
    ) -> EmbeddedTexts:
        """One vector a text, in order. Raises NotFound, BudgetSpent, and what the embedder does."""
        embedder = self._embedders.named(model)
        entry = self._embedders.entry(embedder)
        tenant = call.principal.tenant
        known = await self._known(tenant, embedder, kind, texts)
        missing = [text for text in dict.fromkeys(texts) if text not in known]
        made = await self._made(call, embedder, entry, missing, kind, feature)
        fresh = dict(zip(missing, made.vectors, strict=True))
        for text, vector in fresh.items():
            self._cache.put(tenant, embedder.name, kind, text, vector)
        if self._stored is not None and fresh:
            self._stored.keep(tenant, embedder, kind, fresh)
        known |= fresh
        vectors = [known[text] for text in texts]
        spent = _spent(made.tokens, entry) if isinstance(embedder, CountingEmbedder) else None
        cached = len(texts) - len(missing)
        return EmbeddedTexts(embedder, vectors, spent, entry.prices.currency, cached)

    def on_behalf(self, call: Call, embedder: Embedder, feature: str) -> Embedder:
        """The same embedder, each call of it on record and booked; itself where nobody is paid.

        Beyond what the embedder does it raises BudgetSpent.
        """
        entry = self._embedders.entry(embedder)
        if not isinstance(embedder, CountingEmbedder) or entry.prices.input == 0:
            return embedder

        async def paid(texts: Sequence[str], kind: TextKind) -> list[Vector]:
            made = await self._paid(call, embedder, entry, texts, kind, feature)
            return made.vectors

        return _OnBehalf(embedder, paid)

    async def _known(
        self, tenant: TenantId, embedder: Embedder, kind: TextKind, texts: Sequence[str]
    ) -> dict[str, Vector]:
        """What the process has, and what else the state has."""
        found = {text: self._cache.get(tenant, embedder.name, kind, text) for text in texts}
        known = {text: vector for text, vector in found.items() if vector is not None}
        if self._stored is None or len(known) == len(found):
            return known
        missing = [text for text in found if text not in known]
        stored = await self._stored.find(tenant, embedder, kind, missing)
        for text, vector in stored.items():
            self._cache.put(tenant, embedder.name, kind, text, vector)
        return known | dict(stored)

    async def _made(
        self,
        call: Call,
        embedder: Embedder,
        entry: Deployment,
        texts: Sequence[str],
        kind: TextKind,
        feature: str,
    ) -> Embedded:
        if not texts:
            return Embedded([], 0)
        if not isinstance(embedder, CountingEmbedder):
            return Embedded(await embedder.embed(texts, kind), None)
        return await self._paid(call, embedder, entry, texts, kind, feature)

    async def _paid(
        self,
        call: Call,
        embedder: CountingEmbedder,
        entry: Deployment,
        texts: Sequence[str],
        kind: TextKind,
        feature: str,
    ) -> Embedded:
        principal = call.principal
        unit = SpendingUnit(self._new_id("emb"), principal.tenant, principal.user, feature)
        bound = sum(len(text.encode()) + _SPECIAL_TOKENS for text in texts)
        work = partial(embedder.embed_counted, texts, kind)
        return (await self._calls.make(principal, unit, entry, bound, work)).result


@dataclass(frozen=True, slots=True)
class _OnBehalf:
    """An embedder whose calls are paid for by one caller."""

    _embedder: Embedder
    _paid: Callable[[Sequence[str], TextKind], Awaitable[list[Vector]]]

    @property
    def name(self) -> EmbedderName:
        return self._embedder.name

    @property
    def dimensions(self) -> int:
        return self._embedder.dimensions

    @property
    def languages(self) -> frozenset[str]:
        return self._embedder.languages

    async def embed(self, texts: Sequence[str], kind: TextKind) -> list[Vector]:
        """See Embedder."""
        return await self._paid(texts, kind) if texts else []

    async def close(self) -> None:
        """It is closed by whoever opened it."""


def _spent(tokens: int | None, entry: Deployment) -> Spent:
    usage = TokenUsage(tokens, 0)
    return Spent(usage, cost_of(usage, entry.prices))
