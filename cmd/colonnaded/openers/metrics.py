"""Opens what operators watch: nothing, or metrics and the page that shows them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from adapters.telemetry.structured_log import StructuredLog
from colonnaded.settings import Settings, SettingsError
from core.ports.telemetry import Measures, NoMeasures
from services.turns.admission import Admission


def make_metrics(settings: Settings) -> Measures:
    """Metrics where the settings say where to show them. Raises SettingsError."""
    if not settings.metrics.address:
        return NoMeasures()
    try:
        from adapters.telemetry.metrics import Metrics
    except ModuleNotFoundError as error:
        raise SettingsError(
            "metrics.address",
            ['prometheus_client is not installed: pip install "colonnade-server[metrics]"'],
        ) from error
    return Metrics()


async def open_metrics_page(
    settings: Settings, metrics: Measures, admission: Admission, log: StructuredLog
) -> AsyncIterator[None]:
    """Show the metrics until the process ends. Raises OSError where the address is taken."""
    if not settings.metrics.address:
        yield
        return
    from adapters.telemetry.metrics import Metrics
    from adapters.telemetry.metrics_page import PATH, MetricsPage

    assert isinstance(metrics, Metrics)  # as make_metrics chose by the same setting
    metrics.watch_running(lambda: admission.running)
    host, _, port = settings.metrics.address.rpartition(":")
    page = MetricsPage(metrics.registry, host.strip("[]"), int(port))
    log.note("metrics", url=f"http://{host}:{page.port}{PATH}")
    try:
        yield
    finally:
        await asyncio.to_thread(page.close)
