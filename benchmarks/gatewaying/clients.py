"""The load: clients in a process of their own, over gRPC or over HTTP as the provider itself.

    python -m benchmarks.gatewaying.clients

Reads lines of JSON: where, what, how many at once and for how long; answers each with what was
seen. The clients count messages, and look into none.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import aiohttp
import grpc
import uvloop

from colonnade.v1.messages_pb2 import ROLE_USER, Message, Part
from colonnade.v1.models_pb2 import GenerateRequest

QUESTION = "Tell me a long tale, please."
_SERVICE = "/colonnade.v1.ModelService"
Pieces = Callable[[str], AsyncIterator[bytes]]
"""The messages of one answer, asked for with a key."""


@dataclass
class Seen:
    """What the clients of one window saw. `by_key` is how many messages each key's clients got."""

    answers: int = 0
    messages: int = 0
    wall_s: float = 0.0
    first_ms: list[float] = field(default_factory=list)
    by_key: dict[str, int] = field(default_factory=dict)


async def run(order: dict[str, Any]) -> Seen:
    """One window of load. Each key has so many clients; an answer that began is read to its end.

    With `cut` it is not: the window ends when its time is over. Messages of the first
    `settle_s` are not counted for their keys.
    """
    seen = Seen()
    ask = {"grpc": _over_grpc, "http": _over_http}[order["kind"]]
    async with ask(order) as pieces:
        began = time.perf_counter()
        times = began + order.get("settle_s", 0.0), began + order["seconds"]
        clients = [
            _client(pieces, key, times, seen, order.get("ramp_s", 0.0) * number / count)
            for key, count in order["clients"].items()
            for number in range(count)
        ]
        working = asyncio.gather(*clients)
        limit = order["seconds"] if order.get("cut") else None
        await _until(working, limit)
        seen.wall_s = time.perf_counter() - began
    return seen


async def _until(working: Awaitable[object], limit: float | None) -> None:
    try:
        await asyncio.wait_for(working, limit)
    except TimeoutError:
        if limit is None:
            raise


async def _client(
    pieces: Pieces, key: str, times: tuple[float, float], seen: Seen, after: float
) -> None:
    settled, until = times
    await asyncio.sleep(after)
    while True:
        began = time.perf_counter()
        first = None
        async for _ in pieces(key):
            now = time.perf_counter()
            first = first or now
            seen.messages += 1
            if now >= settled:
                seen.by_key[key] = seen.by_key.get(key, 0) + 1
        seen.answers += 1
        seen.first_ms.append(((first or began) - began) * 1000)
        if time.perf_counter() >= until:
            return


@asynccontextmanager
async def _over_grpc(order: Mapping[str, Any]) -> AsyncIterator[Pieces]:
    message = Message(role=ROLE_USER, parts=[Part(text=QUESTION)])
    request = GenerateRequest(model=order["model"], messages=[message]).SerializeToString()
    options = [("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.insecure_channel(order["address"], options=options) as channel:
        await channel.channel_ready()
        unary: Any = channel.unary_unary(f"{_SERVICE}/Generate")
        stream: Any = channel.unary_stream(f"{_SERVICE}/StreamGenerate")

        async def pieces(key: str) -> AsyncIterator[bytes]:
            metadata = (("authorization", f"Bearer {key}"),)
            if order["stream"]:
                async for piece in stream(request, metadata=metadata, timeout=300):
                    yield piece
            else:
                yield await unary(request, metadata=metadata, timeout=60)

        yield pieces


@asynccontextmanager
async def _over_http(order: Mapping[str, Any]) -> AsyncIterator[Pieces]:
    url = f"http://{order['address']}/v1/chat/completions"
    body = {"model": order["model"], "messages": [{"role": "user", "content": QUESTION}]}
    data = json.dumps({**body, "stream": order["stream"]}, separators=(",", ":")).encode()
    headers = {"Content-Type": "application/json", **order.get("headers", {})}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def pieces(key: str) -> AsyncIterator[bytes]:
            proof = {**headers, "Authorization": f"Bearer {key}"}
            async with session.post(url, data=data, headers=proof) as response:
                response.raise_for_status()
                while received := await response.content.readany():
                    yield received

        yield pieces


async def _main() -> None:
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        print(json.dumps(asdict(await run(json.loads(line)))), flush=True)


if __name__ == "__main__":
    uvloop.run(_main())
