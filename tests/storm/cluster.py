"""The server processes of a storm, each behind a way that can break."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

from storm.cuts import BreakableWay
from storm.options import StormOptions

_ROOT = Path(__file__).parents[2]
_START_S = 60.0
_DRAIN_S = 40.0
_TRIES = 6


class ServerLife:
    """One place in the cluster: a port, and the process that lives there now."""

    def __init__(self, number: int, options: StormOptions, settings: str) -> None:
        self.number = number
        self.port = _free_port()
        self.lives = 0
        self.failed_starts = 0
        self.log = options.folder / f"server-{number}.log"
        self._folder = options.folder
        self._settings = options.folder / f"server-{number}.toml"
        self._settings.write_text(settings.replace("PORT", str(self.port)))
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        """The process that lives here now."""
        assert self._process is not None
        return self._process.pid

    @property
    def life(self) -> str:
        """What the process that lives here now is called in the notebooks."""
        return f"calls-{self.number}-{self.lives}"

    async def start(self) -> None:
        """Start a process, and wait until it listens; as a supervisor does, once more if need be.

        One that begins while the store's server is being restarted may end for want of it.
        """
        for _ in range(_TRIES):
            if await self._listens():
                return
            last = self.log.read_text().rstrip().rpartition("\n")[2]
            if not last.startswith("core.ports.state.StoreUnavailable"):
                break
            self.failed_starts += 1
        raise RuntimeError(f"server {self.number} did not start; see {self.log}")

    async def _listens(self) -> bool:
        """Start a process; whether it came to listen."""
        self.lives += 1
        notebook = self._folder / f"{self.life}.jsonl"
        command = (sys.executable, "-m", "storm.server", str(self._settings), str(notebook))
        path = os.pathsep.join(str(_ROOT / part) for part in ("", "cmd", "clients/python", "tests"))
        with self.log.open("a") as log:
            self._process = await asyncio.create_subprocess_exec(
                *command,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env={**os.environ, "PYTHONPATH": path},
            )
        assert self._process.stdout is not None
        line = await asyncio.wait_for(self._process.stdout.readline(), _START_S)
        if not line:
            await self._process.wait()
        return line.startswith(b"listening on")

    async def kill(self) -> None:
        """As a crash ends it."""
        await self._end(signal.SIGKILL)

    async def stop(self) -> int:
        """Ask it to drain and end; its exit code."""
        return await self._end(signal.SIGTERM)

    def pause(self) -> None:
        """It stands still, and its connections stay."""
        os.kill(self.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        """It wakes, and knows nothing of the time in between."""
        os.kill(self.pid, signal.SIGCONT)

    async def _end(self, how: signal.Signals) -> int:
        if self._process is None:
            return 0
        with suppress(ProcessLookupError):
            self._process.send_signal(how)
        try:
            return await asyncio.wait_for(self._process.wait(), _DRAIN_S)
        except TimeoutError:
            self._process.kill()
            return await self._process.wait()


class Cluster:
    """All servers, and the faults that befall them.

    `deaths` has when each life was ended that did not end by itself, in seconds of the wall
    clock; `paused` the lives that stood still for a while.
    """

    def __init__(
        self, servers: Sequence[ServerLife], ways: Sequence[BreakableWay], draw: random.Random
    ) -> None:
        self.servers = servers
        self.ways = ways
        self._draw = draw
        self._busy: set[ServerLife] = set()
        self.kills = self.restarts = self.pauses = self.cuts = 0
        self.deaths: dict[str, float] = {}
        self.paused: set[str] = set()

    @property
    def addresses(self) -> Sequence[str]:
        """Where clients reach the servers, each through its own way."""
        return [way.address for way in self.ways]

    async def kill_one(self) -> None:
        """Kill one that lives, and start it again."""
        server = self._take()
        if server is None:
            return
        try:
            self.deaths[server.life] = time.time()
            await server.kill()
            self.kills += 1
            await server.start()
        finally:
            self._busy.discard(server)

    async def restart_one(self) -> None:
        """Restart one as an operator does: it drains, and ends by itself."""
        server = self._take()
        if server is None:
            return
        try:
            code = await server.stop()
            if code:
                raise RuntimeError(f"server {server.number} ended with {code}; see {server.log}")
            self.restarts += 1
            await server.start()
        finally:
            self._busy.discard(server)

    async def pause_one(self, seconds: float) -> None:
        """Let one stand still for a while."""
        server = self._take()
        if server is None:
            return
        try:
            server.pause()
            self.paused.add(server.life)
            self.pauses += 1
            await asyncio.sleep(seconds)
        finally:
            server.go_on()
            self._busy.discard(server)

    def cut_one(self) -> None:
        """Break a connection to one of them."""
        self.cuts += self._draw.choice(self.ways).cut(self._draw)

    def _take(self) -> ServerLife | None:
        """One that lives, as long as another does: a cluster that is all dead shows nothing."""
        living = [server for server in self.servers if server not in self._busy]
        if len(living) < 2:
            return None
        server = self._draw.choice(living)
        self._busy.add(server)
        return server


@asynccontextmanager
async def cluster(options: StormOptions, settings: str) -> AsyncIterator[Cluster]:
    """Servers that listen, with these settings; PORT stands for each one's own."""
    servers = [ServerLife(number, options, settings) for number in range(options.processes)]
    async with AsyncExitStack() as stack:
        try:
            await asyncio.gather(*(server.start() for server in servers))
            ways = [await stack.enter_async_context(BreakableWay(s.port)) for s in servers]
            yield Cluster(servers, ways, random.Random(options.seed))
        finally:
            await asyncio.gather(*(server.stop() for server in servers))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
