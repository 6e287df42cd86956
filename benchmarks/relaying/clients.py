"""The load: clients in a process of their own, the same for every server, that count bytes.

    python -m benchmarks.relaying.clients

Reads lines of JSON: where, what, how many at once, and how many each or for how long; answers
each with what was seen.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
import uuid
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field
from typing import Any

import grpc
import uvloop

from benchmarks.relaying.source import ages_ms
from colonnade.v1.chat_pb2 import ChatRequest
from colonnade.v1.messages_pb2 import Message, Part

_A_CONNECTION = 500
"""Clients that share a connection."""
METHOD = "/colonnade.v1.ChatService/StreamChat"


@dataclass
class Seen:
    """What the clients of one window saw."""

    streams: int = 0
    failed: int = 0
    messages: int = 0
    bytes: int = 0
    wall_s: float = 0.0
    first_ms: list[float] = field(default_factory=list)
    ages_ms: list[float] = field(default_factory=list)


class Load:
    """Closed loops of clients on one server."""

    def __init__(self, order: dict[str, Any]) -> None:
        self._order = order
        self._metadata = (("authorization", f"Bearer {order['key']}"),)
        parts = [Part(text=f"Tell me something, {order['question']}, please.")]
        self._question = ChatRequest(message=Message(parts=parts)).SerializeToString()
        self.seen = Seen()
        self._raw: list[tuple[float, bytes]] = []

    async def run(self) -> Seen:
        """The window."""
        count, ramp = self._order["clients"], self._order.get("ramp_s", 0.0)
        async with AsyncExitStack() as stack:
            calls = [await self._connected(stack) for _ in range(-(-count // _A_CONNECTION))]
            began = time.perf_counter()
            until = began + self._order["seconds"]
            await asyncio.gather(
                *(
                    self._client(calls[number % len(calls)], until, ramp * number / count)
                    for number in range(count)
                )
            )
            self.seen.wall_s = time.perf_counter() - began
        return self.seen

    async def _connected(self, stack: AsyncExitStack) -> Any:
        options = [("grpc.use_local_subchannel_pool", 1)]
        channel = grpc.aio.insecure_channel(self._order["address"], options=options)
        await stack.enter_async_context(channel)
        await channel.channel_ready()
        return channel.unary_stream(METHOD)

    async def _client(self, call: Any, until: float, after: float) -> None:
        await asyncio.sleep(after)
        while True:
            try:
                await self._stream(call)
            except grpc.aio.AioRpcError as error:
                self.seen.failed += 1
                print(error.code(), error.details(), file=sys.stderr)
            if time.perf_counter() >= until:
                return

    async def _stream(self, call: Any) -> None:
        id = ChatRequest(request_id=str(uuid.uuid4())).SerializeToString()
        began, first = time.perf_counter(), None
        async for message in call(id + self._question, metadata=self._metadata, timeout=120):
            if first is None:
                first = time.perf_counter()
            self.seen.messages += 1
            self.seen.bytes += len(message)
            if self._order["stamped"]:
                self.seen.ages_ms.extend(ages_ms(message))
        self.seen.streams += 1
        self.seen.first_ms.append(((first or began) - began) * 1000)


async def _main() -> None:
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        seen = await Load(json.loads(line)).run()
        print(json.dumps(asdict(seen)), flush=True)


if __name__ == "__main__":
    uvloop.run(_main())
