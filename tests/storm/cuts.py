"""A way to one server whose connections break when they are told to."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress

_PIECE = 65_536


class BreakableWay:
    """Relays connections from a port of its own to the server's. Use it in an `async with` block.

    Where the server does not answer, a connection is closed at once, as by a dead server.
    """

    def __init__(self, server_port: int) -> None:
        self.address = ""
        self._server_port = server_port
        self._open: set[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = set()

    async def __aenter__(self) -> BreakableWay:
        self._listener = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        host, port = self._listener.sockets[0].getsockname()[:2]
        self.address = f"{host}:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._listener.close()
        while self._open:
            self.cut(random.Random(0))

    def cut(self, draw: random.Random) -> bool:
        """Break one connection; whether there was one."""
        if not self._open:
            return False
        pair = draw.choice(sorted(self._open, key=id))
        self._open.discard(pair)
        for writer in pair:
            writer.transport.abort()
        return True

    async def _serve(self, client: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        try:
            server, forth = await asyncio.open_connection("127.0.0.1", self._server_port)
        except OSError:
            back.transport.abort()
            return
        pair = (back, forth)
        self._open.add(pair)
        try:
            await asyncio.gather(_relay(client, forth), _relay(server, back))
        finally:
            self._open.discard(pair)
            for writer in pair:
                writer.transport.abort()


async def _relay(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Until one side is done, or has broken; then the other is told."""
    with suppress(OSError):
        while piece := await source.read(_PIECE):
            sink.write(piece)
            await sink.drain()
    sink.close()
