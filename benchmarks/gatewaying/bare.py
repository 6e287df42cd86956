"""Bare `grpc.aio` relays to a provider: no key, no routing, no record, no price.

    python -m benchmarks.gatewaying.bare UPSTREAM

Model `MODEL` gets a chunk a message; `joined/MODEL` the chunks of one read in one message.
"""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncGenerator, Iterator
from typing import Any

import aiohttp
import grpc
import uvloop

from adapters.grpc.server import ServerOptions, channel_options
from benchmarks.relaying.processes import serve_until_told, tune
from colonnade.v1.messages_pb2 import ROLE_ASSISTANT, Message, Part
from colonnade.v1.models_pb2 import GenerateRequest, GenerateResponse, StreamGenerateResponse

JOINED = "joined/"
_DATA = b"data: {"
Context = grpc.aio.ServicerContext[GenerateRequest, Any]


class Relay:
    """Asks the provider, and passes on what it says."""

    def __init__(self, upstream: str, session: aiohttp.ClientSession) -> None:
        self._url = f"http://{upstream}/v1/chat/completions"
        self._session = session

    async def generate(self, request: GenerateRequest, _: Context) -> GenerateResponse:
        """The answer in one piece."""
        async with self._session.post(self._url, data=_body(request, stream=False)) as response:
            said = json.loads(await response.read())
        text = said["choices"][0]["message"]["content"]
        return GenerateResponse(message=Message(role=ROLE_ASSISTANT, parts=[Part(text=text)]))

    async def stream(
        self, request: GenerateRequest, _: Context
    ) -> AsyncGenerator[StreamGenerateResponse, None]:
        """The answer in pieces."""
        joined = request.model.startswith(JOINED)
        async with self._session.post(self._url, data=_body(request, stream=True)) as response:
            rest = b""
            while received := await response.content.readany():
                *lines, rest = (rest + received).split(b"\n")
                texts = list(_texts(lines))
                for text in ["".join(texts)] if joined and texts else texts:
                    yield StreamGenerateResponse(text=text)


def _body(request: GenerateRequest, *, stream: bool) -> bytes:
    messages = [{"role": "user", "content": m.parts[0].text} for m in request.messages]
    model = request.model.removeprefix(JOINED)
    body = {"model": model, "messages": messages, "stream": stream}
    return json.dumps(body, separators=(",", ":")).encode()


def _texts(lines: list[bytes]) -> Iterator[str]:
    for line in lines:
        if line.startswith(_DATA):
            said = json.loads(line[6:])
            yield said["choices"][0]["delta"].get("content", "")


async def _serve(upstream: str) -> None:
    server = grpc.aio.server(options=channel_options(ServerOptions()))
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:
        relay = Relay(upstream, session)
        read = GenerateRequest.FromString
        methods = {
            "Generate": grpc.unary_unary_rpc_method_handler(
                relay.generate, read, GenerateResponse.SerializeToString
            ),
            "StreamGenerate": grpc.unary_stream_rpc_method_handler(
                relay.stream, read, StreamGenerateResponse.SerializeToString
            ),
        }
        service = grpc.method_handlers_generic_handler("colonnade.v1.ModelService", methods)
        server.add_generic_rpc_handlers((service,))
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        await serve_until_told(f"127.0.0.1:{port}", dict)
        await server.stop(0)


if __name__ == "__main__":
    tune()
    uvloop.run(_serve(sys.argv[1]))
