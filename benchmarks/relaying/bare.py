"""Bare `grpc.aio` servers that stream the same text: no log, no key, no settlement.

    python -m benchmarks.relaying.bare bare|joined

`bare` sends a chunk a message. `joined` sends the chunks of one tick in one message: what is
there at once, and then what came within 20 ms.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, Callable

import grpc
import uvloop

from adapters.grpc.server import ServerOptions, channel_options
from benchmarks.relaying.processes import serve_until_told, tune
from benchmarks.relaying.source import chunks
from colonnade.v1.chat_pb2 import ChatRequest
from colonnade.v1.turns_pb2 import Delta, TurnEvent, TurnEvents

WINDOW_S = 0.020
Context = grpc.aio.ServicerContext[ChatRequest, TurnEvents]
Handler = Callable[[ChatRequest, Context], AsyncGenerator[TurnEvents, None]]


def _message(sequence: int, text: str) -> TurnEvents:
    return TurnEvents(events=[TurnEvent(sequence=sequence, delta=Delta(text=text))])


async def bare(request: ChatRequest, _: Context) -> AsyncGenerator[TurnEvents, None]:
    """A chunk a message."""
    sequence = 0
    async for text in chunks(request.message.parts[0].text):
        sequence += 1
        yield _message(sequence, text)


async def joined(request: ChatRequest, _: Context) -> AsyncGenerator[TurnEvents, None]:
    """The chunks of a window in one message; the first goes at once."""
    made: list[str] = []
    changed = asyncio.Event()

    async def produce() -> None:
        async for text in chunks(request.message.parts[0].text):
            made.append(text)
            changed.set()

    producing = asyncio.get_running_loop().create_task(produce())
    producing.add_done_callback(lambda _: changed.set())
    sequence = 0
    while made or not producing.done():
        await changed.wait()
        changed.clear()
        if made:
            sequence += 1
            text = "".join(made)
            made.clear()
            yield _message(sequence, text)
            if not producing.done():
                await asyncio.sleep(WINDOW_S)


async def _serve(handler: Handler) -> None:
    server = grpc.aio.server(options=channel_options(ServerOptions()))
    method = grpc.unary_stream_rpc_method_handler(
        handler,
        request_deserializer=ChatRequest.FromString,
        response_serializer=TurnEvents.SerializeToString,
    )
    service = grpc.method_handlers_generic_handler(
        "colonnade.v1.ChatService", {"StreamChat": method}
    )
    server.add_generic_rpc_handlers((service,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    await serve_until_told(f"127.0.0.1:{port}", dict)
    await server.stop(0)


if __name__ == "__main__":
    tune()
    uvloop.run(_serve({"bare": bare, "joined": joined}[sys.argv[1]]))
