"""Settings in the words of the services: bounds, timings and policies as domain values."""

from __future__ import annotations

from collections.abc import Callable

from adapters.grpc.chain import CallLimits
from adapters.grpc.server import ServerOptions, Tls
from adapters.telemetry.structured_log import LogOptions, StructuredLog
from colonnaded.settings import Settings
from core.chunking import ChunkPolicy
from core.errors import InvalidInput
from core.identifiers import ApiKeyId, CollectionName, Seconds, TenantId, UserId
from core.principal import CONFIGURE_SCOPE, EVERY_SCOPE, Principal
from services.chat.answering import AnsweringPolicy
from services.configuration import Reloaded
from services.ingestion.ingestion import IngestLimits
from services.turns.admission import TurnLimits
from services.turns.timings import TurnTimings

_HOUR_S = 3600.0

DEMO = Principal(
    TenantId("demo"), UserId("demo"), ApiKeyId("demo"), frozenset({EVERY_SCOPE, CONFIGURE_SCOPE})
)
"""Whom a call without a key stands for, where the settings let one in: the machine's own user."""


def telemetry(settings: Settings) -> StructuredLog:
    """The log, on standard error."""
    return StructuredLog(log_options(settings))


def log_options(settings: Settings) -> LogOptions:
    """How lines of the log look."""
    return LogOptions(settings.log.format == "json", settings.log.level)


def reload_log(log: StructuredLog) -> Callable[[Reloaded | InvalidInput], None]:
    """Writes down what came of a reload that nobody waits for."""

    def tell(outcome: Reloaded | InvalidInput) -> None:
        if isinstance(outcome, InvalidInput):
            problems = [f"{v.field}: {v.description}" for v in outcome.violations]
            log.note("reload_refused", problems=problems)
        else:
            applied, restart = list(outcome.applied), list(outcome.restart)
            log.note("reloaded", applied_keys=applied, restart_keys=restart)

    return tell


def demo_principal(settings: Settings) -> Principal | None:
    """Who calls without a key; None where that is refused."""
    return DEMO if settings.auth.demo_key else None


def turn_timings(settings: Settings) -> TurnTimings:
    """The turn protocol's clocks, with what the operator chose."""
    return TurnTimings(
        linger=Seconds(settings.turns.linger_seconds),
        turn_maximum=Seconds(settings.turns.max_seconds),
        id_retention=Seconds(settings.turns.id_retention_hours * _HOUR_S),
        log_retention=Seconds(settings.turns.log_retention_hours * _HOUR_S),
        gap=Seconds(settings.turns.gap_seconds),
        tick=Seconds(settings.turns.tick_seconds),
    )


def turn_limits(settings: Settings) -> TurnLimits:
    """How many turns run at once."""
    return TurnLimits(settings.turns.max_running, settings.turns.max_running_per_tenant)


def answering_policy(settings: Settings) -> AnsweringPolicy:
    """How chat turns are answered."""
    return AnsweringPolicy(
        chat_prompt=settings.prompts.chat,
        grounded_prompt=settings.prompts.rag,
        default_collection=CollectionName(settings.retrieval.default_collection),
        passages=settings.retrieval.passages,
        retrieval=Seconds(settings.retrieval.timeout_seconds),
    )


def chunk_policy(settings: Settings) -> ChunkPolicy:
    """How documents are cut."""
    return ChunkPolicy(max_characters=settings.ingestion.max_chunk_characters)


def ingest_limits(settings: Settings) -> IngestLimits:
    """What is taken in."""
    return IngestLimits(
        document_bytes=settings.ingestion.max_document_bytes,
        reading=Seconds(settings.ingestion.timeout_seconds),
    )


def call_limits(settings: Settings) -> CallLimits:
    """Bounds of calls."""
    return CallLimits(
        calls=settings.server.max_concurrent_calls,
        default_deadline=Seconds(settings.server.default_deadline_seconds),
        longest_deadline=Seconds(settings.server.max_deadline_seconds),
    )


def server_options(settings: Settings) -> ServerOptions:
    """How the server listens. Raises OSError where a certificate can't be read."""
    server, tls = settings.server, None
    if server.tls_certificate is not None and server.tls_key is not None:
        client_ca = server.tls_client_ca.read_bytes() if server.tls_client_ca else None
        tls = Tls(server.tls_certificate.read_bytes(), server.tls_key.read_bytes(), client_ca)
    return ServerOptions(
        address=server.address,
        message_bytes=server.max_message_bytes,
        tls=tls,
        reflection=server.reflection,
        open_reflection=server.on_loopback,
    )
