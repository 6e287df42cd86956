"""Opens the bus that carries notices between replicas."""

from __future__ import annotations

from collections.abc import AsyncIterator

from adapters.telemetry.structured_log import StructuredLog
from colonnaded.settings import Settings, SettingsError
from colonnaded.store_settings import BusSettings
from core.identifiers import Seconds
from core.ports.bus import Bus


async def open_bus(settings: Settings, telemetry: StructuredLog) -> AsyncIterator[Bus]:
    """The bus, until the process ends.

    Raises SettingsError where what it needs is not installed, MissingSecret, and Unavailable
    where a NATS that is required does not answer.
    """
    bus = _local() if settings.bus.adapter == "local" else await _nats(settings.bus, telemetry)
    try:
        yield bus
    finally:
        await bus.close()


def _local() -> Bus:
    from adapters.bus.local import LocalBus

    return LocalBus()


async def _nats(chosen: BusSettings, telemetry: StructuredLog) -> Bus:
    try:
        from adapters.bus.nats import open_nats
        from adapters.bus.nats_options import NatsOptions, NatsTls, NatsWatch
    except ModuleNotFoundError as error:
        raise SettingsError(
            "bus.adapter", ['nats is not installed: pip install "colonnade-server[nats]"']
        ) from error
    options = NatsOptions(
        servers=chosen.servers,
        required=chosen.required,
        prefix=chosen.prefix,
        user=chosen.user or None,
        password=chosen.password.resolve() if chosen.password else None,
        token=chosen.token.resolve() if chosen.token else None,
        tls=NatsTls(chosen.ca_file, chosen.certificate, chosen.key) if chosen.tls else None,
        connect_timeout=Seconds(chosen.connect_timeout_seconds),
    )
    watch = NatsWatch(
        connected=lambda: telemetry.note("bus_connected", servers=list(chosen.servers)),
        disconnected=lambda cause: telemetry.note("bus_away", cause=cause),
    )
    return await open_nats(options, watch)
