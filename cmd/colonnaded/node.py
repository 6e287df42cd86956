"""The life of a server process: opened in order, served, drained on SIGTERM, closed."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from adapters.grpc.server import GrpcServer
from adapters.telemetry.structured_log import log_without_calls
from colonnaded.container import Container
from colonnaded.mesh_settings import Target
from colonnaded.policies import log_options
from colonnaded.reloading import Reloading
from colonnaded.settings import Settings
from colonnaded.targets import SEARCHING, narrow
from core.errors import Unavailable
from core.identifiers import Seconds
from services.configuration import Configuration
from services.turns.turns import Turns

_M_ARENA_MAX = -8
"""The option of glibc's mallopt(3) that bounds the number of arenas."""
_BETWEEN_FORGETTING = Seconds(60.0)
Override = Callable[[Container], None]
Reread = Callable[[], Settings]
_LAST_WORDS = Seconds(2.0)
"""What calls get to send their status once their turns have ended."""


@dataclass(frozen=True, slots=True)
class Serving:
    """A node that serves: where it listens, and how many turns of an earlier life it settled.

    `reload` has it read its settings again; what came of it stands in the log.
    """

    address: str
    settled: int
    reload: Callable[[], None]


@asynccontextmanager
async def serving(
    settings: Settings, override: Override | None = None, reread: Reread | None = None
) -> AsyncIterator[Serving]:
    """A node while the block runs. Leaving it drains: running streams end, or can be resumed.

    `override` may replace parts of the container before anything is opened. `reread` gives the
    settings anew; without, they stay as they are.
    """
    container = Container(settings=settings)
    narrow(container, settings.mesh)
    if override is not None:
        override(container)
    try:
        await _opened(container)
        data = await container.data.async_()
        turns = await container.turns.async_()
        server = await container.server.async_()
        settled = await turns.open(alone=data.alone)
        chores = await _chores(container, settings, alone=data.alone)
        data.let_others_in()
        configuration = await _configuration(container, reread)
        try:
            host = settings.server.address.rpartition(":")[0]
            address = f"{host}:{await server.open()}"
            container.log().note("serving", address=address, settled_turns=settled)
            yield Serving(address, settled, configuration.soon)
            await _drain(settings, server, turns)
        finally:
            chores.cancel()
            with suppress(asyncio.CancelledError):
                await chores
            await configuration.close()
            await server.close(Seconds(0.0))
            await _settle_up(container, turns)
    finally:
        closing = container.shutdown_resources()
        if closing is not None:
            await closing


async def _opened(container: Container) -> None:
    opening = container.init_resources()
    if opening is not None:
        await opening


async def _drain(settings: Settings, server: GrpcServer, turns: Turns) -> None:
    """Take nothing new, and let end what runs; the callers learn how."""
    patience = Seconds(settings.server.drain_seconds)
    await server.drain()
    await turns.drain(patience)
    if not settings.mesh.hosts(Target.CHAT):  # then what runs here is for others' turns
        await server.finish(patience)
    await server.close(_LAST_WORDS)


async def _settle_up(container: Container, turns: Turns) -> None:
    """End what still runs, then tell the budgets' accounts all that it came to."""
    await turns.close()
    accounts = await container.budget_accounts.async_()
    await accounts.close()
    caches = await container.caches.async_()
    await caches.close()


async def _chores(container: Container, settings: Settings, *, alone: bool) -> asyncio.Task[None]:
    """What is done now and then, after it was done once where it has to be."""
    orphaned = await container.orphaned.async_()
    await orphaned.open(alone=alone)
    accounts = await container.budget_accounts.async_()

    async def now_and_then() -> None:
        await asyncio.gather(
            _forget_deleted(container, settings),
            orphaned.watch(),
            accounts.keep(),
            _keep_caches(container, settings),
        )

    return asyncio.create_task(now_and_then())


async def _configuration(container: Container, reread: Reread | None) -> Configuration:
    """What reads the settings again, listening."""
    configuration: Configuration = await container.configuration.async_()
    if reread is None:
        configuration.open(None)
        return configuration
    reloading: Reloading = await container.reloading.async_()
    configuration.open(lambda: reloading.reload(reread))
    return configuration


async def _forget_deleted(container: Container, settings: Settings) -> None:
    """Drop the indexes of collections that other processes have deleted, now and then."""
    if not settings.mesh.hosts(*SEARCHING):
        return
    indexes = await container.indexes.async_()
    while True:
        await asyncio.sleep(_BETWEEN_FORGETTING)
        with suppress(Unavailable, OSError):  # the next round may find the store there
            await indexes.forget_deleted()


async def _keep_caches(container: Container, settings: Settings) -> None:
    """Write and sweep the rows of what may be given again, where models are."""
    if settings.mesh.hosts(Target.MODELS):
        caches = await container.caches.async_()
        await caches.run()


async def run(
    settings: Settings,
    started: Callable[[Serving], None],
    override: Override | None = None,
    reread: Reread | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT; a second one ends the drain at once.

    SIGHUP has the settings read again, where there is a way to them. In a terminal it says that
    the terminal has closed, which ends the process as SIGTERM does.
    """
    stop = asyncio.Event()
    try:
        await _serve(settings, started, override, reread, stop)
    except asyncio.CancelledError:
        if not stop.is_set():
            raise


async def _serve(
    settings: Settings,
    started: Callable[[Serving], None],
    override: Override | None,
    reread: Reread | None,
    stop: asyncio.Event,
) -> None:
    loop, opening = asyncio.get_running_loop(), asyncio.current_task()

    def give_up() -> None:
        stop.set()
        if opening is not None:
            opening.cancel()  # it may wait for its store, and for a while

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, give_up)
    async with serving(settings, override, reread) as node:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, _on_signal, stop)
        if sys.platform != "win32" and _in_terminal():
            loop.add_signal_handler(signal.SIGHUP, _on_signal, stop)
        elif sys.platform != "win32" and reread is not None:
            loop.add_signal_handler(signal.SIGHUP, node.reload)
        started(node)
        await stop.wait()


def run_forever(
    settings: Settings,
    started: Callable[[Serving], None],
    override: Override | None = None,
    reread: Reread | None = None,
) -> None:
    """`run` on uvloop where it can be had, in a process that is tuned for it."""
    _tune()
    log_without_calls(log_options(settings))
    if sys.platform == "win32":
        asyncio.run(run(settings, started, override, reread))
        return
    import uvloop

    uvloop.run(run(settings, started, override, reread))


def _tune() -> None:
    """Settings of the whole process, which a library could not make for itself.

    A thread that has committed wants the interpreter back from a busy loop: with the default of
    5 ms a commit takes that much longer. And glibc gives each of many short-lived threads an
    arena of its own, which costs tens of megabytes that nobody uses. Little of what a call makes
    is garbage in a circle: it is looked for less often than by default.
    """
    sys.setswitchinterval(0.001)
    gc.set_threshold(20_000, 20, 20)
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 2)


def _in_terminal() -> bool:
    return sys.stdin is not None and not sys.stdin.closed and sys.stdin.isatty()


def _on_signal(stop: asyncio.Event) -> None:
    if stop.is_set():
        sys.exit(130)
    stop.set()
