"""Opens the bus that carries notices between replicas."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from adapters.telemetry.structured_log import StructuredLog
from colonnaded.settings import Settings, SettingsError
from colonnaded.store_settings import BusSettings
from core.identifiers import Seconds
from core.ports.bus import Bus
from core.ports.telemetry import Measures

if TYPE_CHECKING:
    from adapters.bus.nats_options import NatsOptions


async def open_bus(settings: Settings, log: StructuredLog, metrics: Measures) -> AsyncIterator[Bus]:
    """The bus, until the process ends.

    Raises SettingsError where what it needs is not installed, MissingSecret, and Unavailable
    where a NATS that is required does not answer.
    """
    local = settings.bus.adapter == "local"
    bus = _local(metrics) if local else await _nats(settings.bus, log, metrics)
    try:
        yield bus
    finally:
        await bus.close()


def _local(metrics: Measures) -> Bus:
    from adapters.bus.local import LocalBus

    return LocalBus(dropped=metrics.notice_dropped)


async def _nats(chosen: BusSettings, log: StructuredLog, metrics: Measures) -> Bus:
    options = nats_options(chosen)
    from adapters.bus.nats import open_nats
    from adapters.bus.nats_options import NatsWatch

    def connected() -> None:
        metrics.bus_connected()
        log.note("bus_connected", servers=list(chosen.servers))

    def disconnected(cause: str) -> None:
        metrics.bus_disconnected()
        log.note("bus_away", cause=cause)

    return await open_nats(options, NatsWatch(metrics.notice_dropped, connected, disconnected))


def nats_options(chosen: BusSettings) -> NatsOptions:
    """The adapter's options. Raises SettingsError where it is not installed, and MissingSecret."""
    try:
        from adapters.bus import nats  # noqa: F401  # only whether it can be had
    except ModuleNotFoundError as error:
        raise SettingsError(
            "bus.adapter", ['nats is not installed: pip install "colonnade-server[nats]"']
        ) from error
    from adapters.bus.nats_options import NatsOptions, NatsTls

    return NatsOptions(
        servers=chosen.servers,
        required=chosen.required,
        prefix=chosen.prefix,
        user=chosen.user or None,
        password=chosen.password.resolve() if chosen.password else None,
        token=chosen.token.resolve() if chosen.token else None,
        tls=NatsTls(chosen.ca_file, chosen.certificate, chosen.key) if chosen.tls else None,
        connect_timeout=Seconds(chosen.connect_timeout_seconds),
    )
