"""Many streams while the store can't be written for a while: none may be lost, none may lie."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import grpc

from colonnade.client.statuses import failure_of
from colonnade.client.stubs import AsyncStubs
from colonnade.v1.conversations_pb2 import CreateConversationRequest
from storm.cluster import Cluster, cluster
from storm.disks import full_disk, locked_store, small_disk
from storm.options import StormOptions
from storm.questions import Question
from storm.reader import PlainReader, Wish, open_channels
from storm.spending import read_notebooks
from storm.stores import Stores, settings_of, stores
from storm.storm import opened_state, servers_bugs, wait_for_ends
from storm.verdict import Verdict, judge
from storm.witness import Witness

_LEAD_S = 3.0
"""How long the streams run before."""
_GRACE_S = 0.3
"""What was logged before may still be under way for so long."""
_HOLD_S = 30.0
"""How long a turn holds its output back before its model is stopped."""
_A_CONNECTION = 25
"""Streams that share one."""


@dataclass
class _Window:
    """When the store could not be written, on the loop's clock."""

    began: float = 0.0
    ended: float = 0.0
    arrivals: list[float] = field(default_factory=list)

    @property
    def unlogged(self) -> int:
        """Events that came while nothing could be logged."""
        return sum(self.began + _GRACE_S < at < self.ended for at in self.arrivals)


async def run_outage(options: StormOptions) -> dict[str, object]:
    """The store is away for `away_for`, or its disk full for `full_for`; the figures."""
    options.folder.mkdir(parents=True, exist_ok=True)
    witness, window = Witness(), _Window()
    async with AsyncExitStack() as stack:
        if options.full_for:
            stack.enter_context(small_disk(options.folder / "data"))
        servers = await stack.enter_async_context(stores(options))
        async with cluster(options, settings_of(options, servers)) as nodes:
            began = time.monotonic()
            await _stream_through(options, nodes, servers, witness, window)
            async with opened_state(options) as state:
                await wait_for_ends(state)
            took = time.monotonic() - began
        async with opened_state(options) as state:
            calls = read_notebooks(options.folder, nodes.deaths)
            verdict = await judge(state, witness, calls)
    return _figures(options, witness, verdict, window, took)


async def _stream_through(
    options: StormOptions, nodes: Cluster, servers: Stores, witness: Witness, window: _Window
) -> None:
    lasts = options.away_for + options.full_for
    async with _replicas(options, nodes.addresses) as replicas, asyncio.TaskGroup() as group:
        for number in range(options.clients):
            wish = _wish(number, lasts)
            reader = PlainReader(
                replicas[number // _A_CONNECTION],
                witness,
                random.Random(options.seed * 1000 + number),
                wish,
                patience=options.patience + lasts,
                quiet=lasts + 30.0,
            )
            reader.reading.on_event = lambda: window.arrivals.append(_now())
            group.create_task(reader.read())
        await asyncio.sleep(_LEAD_S)
        paused = nodes.servers[0] if options.stop_every and not options.full_for else None
        async with _away(options, nodes, servers):
            window.began = _now()
            for number in (1, 2):
                group.create_task(_come_late(options, replicas[0], witness, number))
            group.create_task(_write_meanwhile(nodes.addresses[-1], witness))
            if paused is not None:
                paused.pause()
                nodes.pauses += 1
            await asyncio.sleep(lasts)
            window.ended = _now()
        if paused is not None:
            paused.go_on()


async def _come_late(
    options: StormOptions, replicas: Sequence[AsyncStubs], witness: Witness, number: int
) -> None:
    """Ask while nothing can be claimed: told to come back, and answered in the end."""
    await asyncio.sleep(1.0 + number)
    wish = Wish(Question(f"late{number}", 5, 10, "ends"), linger=60.0, timeout=60.0)
    draw, patience = random.Random(number), options.patience + options.away_for + options.full_for
    await PlainReader(replicas, witness, draw, wish, patience=patience, quiet=15.0).read()


async def _write_meanwhile(address: str, witness: Witness) -> None:
    """Ask for something that can't wait: it is refused, with advice on when to come back."""
    await asyncio.sleep(0.5)
    async with grpc.aio.insecure_channel(address) as channel:  # which repeats nothing by itself
        create = AsyncStubs.of(channel).conversations.CreateConversation
        try:
            await create(CreateConversationRequest(), timeout=30)
        except grpc.RpcError as error:
            failure = failure_of(error)
            advice = "come back" if failure.retry_after else "no advice"
            witness.errors[f"{failure.code.name} {failure.reason}, {advice}"] += 1


def _wish(number: int, lasts: float) -> Wish:
    """Half of the answers are ready while the store is away, half go on afterwards."""
    seconds = _LEAD_S + (lasts / 2 if number % 2 else lasts + 4.0)
    question = Question(f"s{number}", int(seconds / 0.04), 40, "ends")
    return Wish(question, linger=60.0, timeout=lasts + 60.0)


@asynccontextmanager
async def _away(options: StormOptions, nodes: Cluster, servers: Stores) -> AsyncIterator[None]:
    if options.full_for:
        with full_disk(servers.sqlite.parent, [server.pid for server in nodes.servers]):
            yield
    elif options.state == "postgres":
        async with servers.postgres_away():
            yield
    else:
        async with locked_store(servers.sqlite):
            yield


@asynccontextmanager
async def _replicas(
    options: StormOptions, addresses: Sequence[str]
) -> AsyncIterator[list[list[AsyncStubs]]]:
    """Stubs of every replica, once for each group of streams."""
    channels: list[list[grpc.aio.Channel]] = []
    try:
        for _ in range(0, options.clients, _A_CONNECTION):
            channels.append(open_channels(addresses))
        yield [[AsyncStubs.of(channel) for channel in group] for group in channels]
    finally:
        for group in channels:
            for channel in group:
                await channel.close()


def _now() -> float:
    return asyncio.get_running_loop().time()


def _figures(
    options: StormOptions, witness: Witness, verdict: Verdict, window: _Window, took: float
) -> dict[str, object]:
    beyond_hold = max(options.away_for, options.full_for) > _HOLD_S
    expected = ("STOP", "ERROR") if beyond_hold else ("STOP",)
    not_whole = {reason: n for reason, n in verdict.ends.items() if reason not in expected}
    # On a full disk what was allocated before can still be written, and is.
    unlogged = window.unlogged if options.away_for else 0
    wrong = [
        *verdict.violations,
        *([f"turns that did not end well: {not_whole}"] if not_whole else []),
        *([f"{unlogged} events came while none could be logged"] if unlogged else []),
    ]
    return {
        "state": options.state,
        "bus": options.bus,
        "processes": options.processes,
        "streams": options.clients,
        "away_s": options.away_for,
        "full_s": options.full_for,
        "peer_paused": bool(options.stop_every),
        "seconds": round(took, 1),
        "turns": verdict.turns,
        "ends": dict(verdict.ends),
        "errors": dict(witness.errors),
        "events": verdict.events,
        "events_while_away": window.unlogged,
        "longest_wait_s": round(witness.longest_wait, 1),
        "calls": verdict.spending.calls,
        "lines": verdict.spending.lines,
        "bugs": servers_bugs(options),
        "violations": wrong[:50],
    }
