"""A provider that costs next to nothing: Chat Completions, whole or in 64 chunks.

    python -m benchmarks.gatewaying.upstream

Model `mock` streams at full speed, `mock-d10` a chunk every 10 ms, `mock-d30` every 30 ms,
`mock-d100` every 100 ms. Each request gets the same text, written as OpenAI writes it; what is no
request for an answer is not found.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import uvloop

from benchmarks.relaying.processes import serve_until_told

CHUNKS = 64
AT_ONCE, PACED, STEADY, SLOW = "mock", "mock-d10", "mock-d30", "mock-d100"
"""The models, by how they stream."""
PACE_S = {PACED: 0.010, STEADY: 0.030, SLOW: 0.100}
USAGE = {"prompt_tokens": 20, "completion_tokens": CHUNKS, "total_tokens": 20 + CHUNKS}

_STREAM = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
)
_NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
_WHOLE = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n"


def _said(piece: dict[str, object], last: bool) -> bytes:
    choice = {"index": 0, **piece, "logprobs": None, "finish_reason": "stop" if last else None}
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_700_000_000}
    end = {"usage": USAGE} if last else {}
    return json.dumps({**head, "model": "mock", "choices": [choice], **end}).encode()


def _chunk(number: int) -> bytes:
    last = number == CHUNKS - 1
    said = _said({"delta": {"content": f"word {number:02} of a long tale "}}, last)
    data = b"data: " + said + (b"\n\ndata: [DONE]\n\n" if last else b"\n\n")
    return f"{len(data):x}\r\n".encode() + data + b"\r\n" + (b"0\r\n\r\n" if last else b"")


def _whole() -> bytes:
    text = "".join(f"word {number:02} of a long tale " for number in range(CHUNKS // 4))
    body = _said({"message": {"role": "assistant", "content": text}}, last=True)
    return _WHOLE.format(len(body)).encode() + body


CHUNK = [_chunk(number) for number in range(CHUNKS)]
WHOLE, STREAM = _whole(), _STREAM + b"".join(CHUNK)


class Provider(asyncio.Protocol):
    """One connection: a request at a time, its head and its body by length."""

    def connection_made(self, transport: Any) -> None:
        """See asyncio.Protocol."""
        self._transport = transport  # uvloop's own, which is no asyncio.Transport by type
        self._received = b""
        self._streaming: asyncio.Task[None] | None = None

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        if not found:
            return
        length = head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0]
        if len(body) < int(length or 0):
            return
        self._received = b""
        if head.startswith(b"POST"):
            self._answer(json.loads(body))
        else:
            self._transport.write(_NOT_FOUND)

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        del exc  # it is over, however
        if self._streaming is not None:
            self._streaming.cancel()

    def _answer(self, request: dict[str, object]) -> None:
        if not request.get("stream"):
            self._transport.write(WHOLE)
        elif pace := PACE_S.get(str(request["model"])):
            self._streaming = asyncio.get_running_loop().create_task(self._slowly(pace))
        else:
            self._transport.write(STREAM)

    async def _slowly(self, pace_s: float) -> None:
        loop = asyncio.get_running_loop()
        self._transport.write(_STREAM)
        due = loop.time()
        for chunk in CHUNK:
            due += pace_s
            await asyncio.sleep(due - loop.time())
            self._transport.write(chunk)


async def _main() -> None:
    server = await asyncio.get_running_loop().create_server(Provider, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    await serve_until_told(f"127.0.0.1:{port}", dict)


if __name__ == "__main__":
    uvloop.run(_main())
