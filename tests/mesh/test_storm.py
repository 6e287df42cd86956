"""Short storms of each kind; `python -m tests.storm` blows as long as one likes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from storm.options import StormOptions
from storm.outage import run_outage
from storm.storm import run_storm

pytestmark = pytest.mark.slow
SECONDS = 8.0


@pytest.fixture
def options(tmp_path: Path) -> StormOptions:
    return StormOptions(
        tmp_path, processes=3, clients=16, seconds=SECONDS, kill_every=2.0, cut_every=0.3
    )


async def test_processes_die_and_connections_break(options: StormOptions) -> None:
    figures = await run_storm(options)
    assert figures["violations"] == []
    assert figures["bugs"] == 0
    assert figures["kills"] > 1  # type: ignore[operator]
    assert figures["turns"] > 30  # type: ignore[operator]


async def test_a_process_stands_still_past_its_leases(options: StormOptions) -> None:
    figures = await run_storm(replace(options, kill_every=0.0, stop_every=2.0, stop_for=6.5))
    assert figures["violations"] == []
    assert figures["pauses"] > 0  # type: ignore[operator]


async def test_the_store_is_away_while_a_peer_stands_still(options: StormOptions) -> None:
    """As long as the hold of the protocol allows is a matter for the long run.

    Questions that are asked meanwhile wait; what can't wait is told when to come back.
    """
    figures = await run_outage(replace(options, clients=100, away_for=6.0, stop_every=1.0))
    assert figures["violations"] == []
    assert figures["errors"] == {"UNAVAILABLE SERVICE_UNAVAILABLE, come back": 1}
    assert figures["ends"] == {"STOP": 102}


async def test_the_disk_is_full_under_streams(options: StormOptions) -> None:
    figures = await run_outage(replace(options, clients=100, full_for=8.0))
    assert figures["violations"] == []
    assert figures["ends"] == {"STOP": 102}


async def test_postgres_and_nats_are_restarted(options: StormOptions) -> None:
    """No caller of a living process is told an error: a restart is a wait."""
    calm = replace(options, state="postgres", bus="nats", kill_every=0.0, cut_every=0.0)
    figures = await run_storm(replace(calm, restart_store=1, restart_bus=2))
    assert figures["violations"] == []
    assert (figures["store_restarts"], figures["bus_restarts"]) == (1, 2)
    assert not any("SERVICE" in error for error in figures["errors"])  # type: ignore[attr-defined]


async def test_processes_die_on_postgres_and_nats(options: StormOptions) -> None:
    figures = await run_storm(
        replace(options, state="postgres", bus="nats", restart_store=1, restart_bus=1)
    )
    assert figures["violations"] == []
    assert figures["bugs"] == 0
    assert figures["kills"] > 1  # type: ignore[operator]


async def test_postgres_is_away_while_a_peer_stands_still(options: StormOptions) -> None:
    away = replace(options, state="postgres", bus="nats", clients=40, away_for=5.5, stop_every=1.0)
    figures = await run_outage(away)
    assert figures["violations"] == []
    assert figures["errors"] == {"UNAVAILABLE SERVICE_UNAVAILABLE, come back": 1}
    assert figures["ends"] == {"STOP": 42}
