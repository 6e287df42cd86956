"""The caches that the processes of an installation share, by the settings."""

from __future__ import annotations

from adapters.grpc.answer_codec import ProtobufAnswers
from colonnaded.settings import Settings
from core.canonical import digest
from core.clock import Clock
from core.identifiers import Seconds
from core.ports.cache_observer import CacheObserver
from core.ports.state import State
from services.models.cache_store import CacheBounds, CacheStore
from services.models.stored_answers import StoredAnswers
from services.models.stored_vectors import StoredVectors

ANSWERING = frozenset({"deployments", "routes", "routing"})
"""The tables by which the same question may get another answer."""


def answers_about(settings: Settings) -> str:
    """Stands for all settings that make an answer; an answer is given under equal ones only."""
    return digest(settings.model_dump(mode="json", include=set(ANSWERING)))


def cache_store(
    settings: Settings, state: State, clock: Clock, observer: CacheObserver
) -> CacheStore:
    """The rows of all caches."""
    wanted = settings.response_cache
    read = Seconds(wanted.shared_read_seconds)
    bounds = CacheBounds(read, wanted.shared_rows, wanted.shared_bytes)
    return CacheStore(state, clock, bounds, observer)


def stored_answers(settings: Settings, store: CacheStore, clock: Clock) -> StoredAnswers | None:
    """The answers' rows, where they are wanted."""
    wanted = settings.response_cache
    if not wanted.shared:
        return None
    return StoredAnswers(store, ProtobufAnswers(), clock, Seconds(wanted.ttl_seconds))


def stored_vectors(settings: Settings, store: CacheStore) -> StoredVectors | None:
    """The vectors' rows, where they are wanted."""
    wanted = settings.response_cache
    if not wanted.shared:
        return None
    return StoredVectors(store, Seconds(wanted.embedding_ttl_seconds))
