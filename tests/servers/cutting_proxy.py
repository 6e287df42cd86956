"""Stands between a client and a server of the tests, and breaks connections when told to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

_BLOCK = 65_536


@dataclass
class CuttingProxy:
    """`lose_request`: the next thing that a client sends breaks its connection instead.

    `lose_answer`: the server gets it, and its answer breaks the connection. `is_frozen`: nothing
    passes, and nobody is told.
    """

    target_port: int
    port: int = 0
    lose_request: bool = False
    lose_answer: bool = False
    is_frozen: bool = False
    _pairs: set[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = field(default_factory=set)

    @classmethod
    @asynccontextmanager
    async def before(cls, target_port: int, port: int = 0) -> AsyncIterator[CuttingProxy]:
        """A proxy on a port of the loopback interface, or a free one, for the length of a block."""
        proxy = cls(target_port)
        server = await asyncio.start_server(proxy._serve, "127.0.0.1", port)
        proxy.port = server.sockets[0].getsockname()[1]
        try:
            yield proxy
        finally:
            server.close()
            proxy.cut()
            await server.wait_closed()

    def cut(self) -> None:
        """Break all connections."""
        for pair in self._pairs:
            for writer in pair:
                writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self.target_port)
        pair = (writer, server_writer)
        self._pairs.add(pair)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pass(reader, server_writer, pair, is_request=True))
                both.create_task(self._pass(server_reader, writer, pair, is_request=False))
        except* OSError:
            pass
        finally:
            self._pairs.discard(pair)
            for each in pair:
                each.transport.abort()

    async def _pass(
        self,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        pair: tuple[asyncio.StreamWriter, asyncio.StreamWriter],
        *,
        is_request: bool,
    ) -> None:
        while data := await source.read(_BLOCK):
            if self._is_to_be_lost(is_request=is_request):
                for each in pair:
                    each.transport.abort()
                return
            if not self.is_frozen:
                sink.write(data)
                await sink.drain()
        for each in pair:
            each.transport.abort()

    def _is_to_be_lost(self, *, is_request: bool) -> bool:
        lost = self.lose_request if is_request else self.lose_answer
        if lost:
            self.lose_request = self.lose_answer = False
        return lost
