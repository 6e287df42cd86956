"""Runs the same work with the blocking and with the asyncio client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import grpc

from colonnade.client import AsyncClient, AsyncTiming, Client, Timing

Work = Callable[[Any], Any]


class Either:
    """Calls a method of either client, and gathers what it iterates over."""

    def __init__(self, kind: str, address: str) -> None:
        self._blocking = kind == "blocking"
        self._address = address

    async def __call__(self, work: Work) -> Any:
        if self._blocking:
            return await asyncio.to_thread(self._run, work)
        timing = AsyncTiming(sleep=lambda _: asyncio.sleep(0))
        async with AsyncClient(self._address, timing=timing) as client:
            made = work(client)
            if isinstance(made, AsyncIterator):
                return [item async for item in made]
            return await made

    def _run(self, work: Work) -> Any:
        with Client(self._address, timing=Timing(sleep=lambda _: None)) as client:
            made = work(client)
            return list(made) if isinstance(made, Iterator) else made


async def open_server(add: Callable[[grpc.aio.Server], object]) -> tuple[grpc.aio.Server, str]:
    """A server on loopback with what `add` puts in, and its address."""
    server = grpc.aio.server()
    add(server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    return server, f"127.0.0.1:{port}"
