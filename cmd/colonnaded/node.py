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

from colonnaded.container import Container
from colonnaded.mesh_settings import Target
from colonnaded.settings import Settings
from colonnaded.targets import SEARCHING, narrow
from core.errors import Unavailable
from core.identifiers import Seconds

_M_ARENA_MAX = -8
"""The option of glibc's mallopt(3) that bounds the number of arenas."""
_BETWEEN_FORGETTING = Seconds(60.0)
_LAST_WORDS = Seconds(2.0)
"""What calls get to send their status once their turns have ended."""


@dataclass(frozen=True, slots=True)
class Serving:
    """A node that serves: where it listens, and how many turns of an earlier life it settled."""

    address: str
    settled: int


@asynccontextmanager
async def serving(
    settings: Settings, override: Callable[[Container], None] | None = None
) -> AsyncIterator[Serving]:
    """A node while the block runs. Leaving it drains: running streams end, or can be resumed.

    `override` may replace parts of the container before anything is opened.
    """
    container = Container(settings=settings)
    narrow(container, settings.mesh)
    if override is not None:
        override(container)
    opening = container.init_resources()
    if opening is not None:
        await opening
    try:
        data = await container.data.async_()
        turns = await container.turns.async_()
        server = await container.server.async_()
        settled = await turns.open(alone=data.alone)
        chores = await _chores(container, settings, alone=data.alone)
        data.let_others_in()
        try:
            host = settings.server.address.rpartition(":")[0]
            address = f"{host}:{await server.open()}"
            container.log().note("serving", address=address, settled_turns=settled)
            yield Serving(address, settled)
            await server.drain()
            await turns.drain(Seconds(settings.server.drain_seconds))
            if not settings.mesh.hosts(Target.CHAT):  # then what runs here is for others' turns
                await server.finish(Seconds(settings.server.drain_seconds))
            await server.close(_LAST_WORDS)
        finally:
            chores.cancel()
            await server.close(Seconds(0.0))
            await turns.close()
    finally:
        closing = container.shutdown_resources()
        if closing is not None:
            await closing


async def _chores(
    container: Container, settings: Settings, *, alone: bool
) -> asyncio.Future[tuple[None, None]]:
    """What is done now and then, after it was done once where it has to be."""
    orphaned = await container.orphaned.async_()
    await orphaned.open(alone=alone)
    return asyncio.gather(_forget_deleted(container, settings), orphaned.watch())


async def _forget_deleted(container: Container, settings: Settings) -> None:
    """Drop the indexes of collections that other processes have deleted, now and then."""
    if not settings.mesh.hosts(*SEARCHING):
        return
    indexes = await container.indexes.async_()
    while True:
        await asyncio.sleep(_BETWEEN_FORGETTING)
        with suppress(Unavailable, OSError):  # the next round may find the store there
            await indexes.forget_deleted()


async def run(
    settings: Settings,
    started: Callable[[Serving], None],
    override: Callable[[Container], None] | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT; a second one ends the drain at once."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _on_signal, stop)
    async with serving(settings, override) as node:
        started(node)
        await stop.wait()


def run_forever(
    settings: Settings,
    started: Callable[[Serving], None],
    override: Callable[[Container], None] | None = None,
) -> None:
    """`run` on uvloop where it can be had, in a process that is tuned for it."""
    _tune()
    if sys.platform == "win32":
        asyncio.run(run(settings, started, override))
        return
    import uvloop

    uvloop.run(run(settings, started, override))


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


def _on_signal(stop: asyncio.Event) -> None:
    if stop.is_set():
        sys.exit(130)
    stop.set()
