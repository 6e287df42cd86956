"""A storm from its first process to its verdict."""

from __future__ import annotations

import asyncio
import json
import os
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import asdict

from colonnaded.data_directory import DataDirectory
from colonnaded.openers.state import open_state
from colonnaded.settings import load_settings
from core.ports.state import EVERY_TENANT, State
from storm.clients import StormClient
from storm.cluster import Cluster, cluster
from storm.options import StormOptions
from storm.outages import Outages
from storm.spending import read_notebooks
from storm.stores import settings_of, stores
from storm.verdict import Verdict, judge
from storm.witness import Witness

_SETTLED_WITHIN_S = 30.0
Tick = Callable[[float, Witness], None]


async def run_storm(options: StormOptions, tick: Tick | None = None) -> dict[str, object]:
    """Run it; its figures. `violations` has what should not be, in words."""
    options.folder.mkdir(parents=True, exist_ok=True)
    witness = Witness()
    async with stores(options) as servers:
        settings = settings_of(options, servers)
        async with cluster(options, settings) as nodes:
            outages = Outages(options, servers)
            began = time.monotonic()
            await _blow(options, nodes, outages, witness, tick or (lambda seconds, seen: None))
            async with opened_state(options) as state:
                slowest = await wait_for_ends(state)
            took = time.monotonic() - began
        async with opened_state(options) as state:
            verdict = await judge(state, witness, read_notebooks(options.folder, nodes.deaths))
    return _figures(options, nodes, outages, witness, verdict, took, slowest)


async def _blow(
    options: StormOptions, nodes: Cluster, outages: Outages, witness: Witness, tick: Tick
) -> None:
    """Clients and faults at once; the faults stop first, so that all can come to an end."""
    stop, calm = asyncio.Event(), asyncio.Event()
    clients = [
        StormClient(number, nodes.addresses, witness, options) for number in range(options.clients)
    ]
    draw = random.Random(options.seed)
    async with asyncio.TaskGroup() as group:

        def kill() -> None:  # the next may die while the last one starts again
            storms.add(group.create_task(nodes.kill_one()))

        def restart() -> None:
            storms.add(group.create_task(nodes.restart_one()))

        def pause() -> None:
            storms.add(group.create_task(nodes.pause_one(options.stop_for)))

        calls = [group.create_task(client.run(stop)) for client in clients]
        storms = {
            group.create_task(_every(options.kill_every, draw, calm, kill)),
            group.create_task(_every(options.restart_every, draw, calm, restart)),
            group.create_task(_every(options.stop_every, draw, calm, pause)),
            group.create_task(_every(options.cut_every, draw, calm, nodes.cut_one)),
            group.create_task(outages.run()),
            group.create_task(_tell(options, witness, tick)),
        }
        await asyncio.sleep(options.seconds)
        calm.set()
        while any(not task.done() for task in storms):
            await asyncio.wait(set(storms))
        stop.set()
        await asyncio.wait(calls)


async def _every(
    seconds: float,
    draw: random.Random,
    calm: asyncio.Event,
    do: Callable[[], None],
) -> None:
    """Do it about so often, until it is calm."""
    if not seconds:
        return
    while True:
        try:
            await asyncio.wait_for(calm.wait(), seconds * (0.5 + draw.random()))
        except TimeoutError:
            do()
        else:
            return


async def _tell(options: StormOptions, witness: Witness, tick: Tick) -> None:
    """Show how it goes, and look how large SQLite's log becomes."""
    began, log = time.monotonic(), options.folder / "data" / "state.sqlite-wal"
    while (passed := time.monotonic() - began) < options.seconds:
        tick(passed, witness)
        with suppress(FileNotFoundError):
            witness.largest_log = max(witness.largest_log, os.stat(log).st_size)
        await asyncio.sleep(0.5)
    tick(options.seconds, witness)


async def wait_for_ends(state: State) -> float:
    """Wait until no turn runs any more; how long that took, in seconds."""
    began = time.monotonic()
    while (waited := time.monotonic() - began) < _SETTLED_WITHIN_S:
        async with state.snapshot(EVERY_TENANT) as view:
            if not await view.turns.running(1):
                return waited
        await asyncio.sleep(0.1)
    return waited


@asynccontextmanager
async def opened_state(options: StormOptions) -> AsyncIterator[State]:
    """The store, looked into from outside of the cluster."""
    settings = load_settings(options.folder / "server-0.toml")
    async with AsyncExitStack() as stack:
        states = open_state(settings, DataDirectory(settings.data_dir))
        stack.push_async_callback(anext, states, None)
        yield await anext(states)


def _figures(
    options: StormOptions,
    nodes: Cluster,
    outages: Outages,
    witness: Witness,
    verdict: Verdict,
    took: float,
    slowest: float,
) -> dict[str, object]:
    spending = asdict(verdict.spending)
    wrong = spending.pop("wrong")
    spending["forgotten_within_s"] = round(verdict.spending.forgotten_within_s, 3)
    return {
        "state": options.state,
        "bus": options.bus,
        "processes": options.processes,
        "clients": options.clients,
        "seconds": round(took, 1),
        "kills": nodes.kills,
        "restarts": nodes.restarts,
        "failed_starts": sum(server.failed_starts for server in nodes.servers),
        "pauses": nodes.pauses,
        "cuts": nodes.cuts,
        "store_restarts": outages.store_restarts,
        "bus_restarts": outages.bus_restarts,
        "errands": witness.errands,
        "readings": len(witness.readings),
        "turns": verdict.turns,
        "events": verdict.events,
        "events_seen": verdict.events_seen,
        "runs_again": verdict.reruns,
        "ends": dict(verdict.ends),
        "cancels": len(witness.cancels),
        "errors": dict(witness.errors),
        "longest_wait_s": round(witness.longest_wait, 1),
        "largest_log_mb": round(witness.largest_log / 1e6, 1),
        "last_turn_ended_after_s": round(slowest, 1),
        "slowest_stop_s": round(_slowest_stop(witness, verdict, nodes), 2),
        **spending,
        "lost": len(verdict.lost),
        "doubled": len(verdict.doubled),
        "contradicted": len(verdict.contradicted),
        "not_ended": len(verdict.not_ended),
        "unexpected": len(verdict.unexpected),
        "charged_wrongly": len(wrong),
        "bugs": servers_bugs(options),
        "violations": verdict.violations[:50],
    }


def _slowest_stop(witness: Witness, verdict: Verdict, nodes: Cluster) -> float:
    """Seconds from the answer to a cancel until the model had stopped, where its process lived."""
    return max(
        (
            call.ended - cancel.at
            for cancel in witness.cancels
            for call in verdict.calls.get(cancel.question.name, ())
            if call.ended is not None and call.life not in nodes.paused
        ),
        default=0.0,
    )


def servers_bugs(options: StormOptions) -> int:
    """Errors that the servers call bugs in their logs."""
    count = 0
    for file in options.folder.glob("server-*.log"):
        for line in file.read_text().splitlines():
            if line.startswith("{"):
                count += json.loads(line).get("event") == "bug"
    return count
