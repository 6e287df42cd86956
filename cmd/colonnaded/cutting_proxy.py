"""A way to a server that breaks once in mid-stream, to show what a broken connection does."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

_PIECE = 65_536


class _Proxy:
    """Relays to one address. Once `cut_after` bytes have come back, every connection is dropped."""

    def __init__(self, target: str, cut_after: int, on_cut: Callable[[], None]) -> None:
        self._host, _, port = target.rpartition(":")
        self._port = int(port)
        self._left = cut_after
        self._on_cut = on_cut
        self._open: set[asyncio.StreamWriter] = set()
        self._cut = False

    async def serve(self, client: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        server, forth = await asyncio.open_connection(self._host, self._port)
        self._open |= {back, forth}
        try:
            await asyncio.gather(self._relay(client, forth), self._relay(server, back, counts=True))
        finally:
            self._open -= {back, forth}

    async def _relay(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, counts: bool = False
    ) -> None:
        with suppress(ConnectionError):
            while piece := await source.read(_PIECE):
                sink.write(piece)
                await sink.drain()
                if counts:
                    self._count(len(piece))
        sink.close()

    def _count(self, size: int) -> None:
        self._left -= size
        if self._left > 0 or self._cut:
            return
        self._cut = True
        self._on_cut()
        for writer in self._open:
            writer.transport.abort()


@contextmanager
def cutting_proxy(target: str, cut_after: int, on_cut: Callable[[], None]) -> Iterator[str]:
    """The address of a proxy to `target` that runs in a thread of its own while the block does."""
    started: threading.Event = threading.Event()
    address: list[str] = []
    stop: list[Callable[[], object]] = []

    async def run() -> None:
        proxy, ended = _Proxy(target, cut_after, on_cut), asyncio.Event()
        loop = asyncio.get_running_loop()
        stop.append(lambda: loop.call_soon_threadsafe(ended.set))
        server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
        host, port = server.sockets[0].getsockname()[:2]
        address.append(f"{host}:{port}")
        started.set()
        await ended.wait()
        server.close()

    thread = threading.Thread(target=lambda: asyncio.run(run()), name="proxy", daemon=True)
    thread.start()
    started.wait()
    try:
        yield address[0]
    finally:
        stop[0]()
        thread.join(timeout=5)
