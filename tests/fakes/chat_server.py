"""A server that speaks POST /v1/chat/completions, as well or as badly as it is told.

async with ChatServerDouble(Stream.of("Hello", " world")) as server:
    OpenAICompatible(deployment, ChatServer(base_url=server.url), now=...)
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from types import TracebackType
from typing import Self

from aiohttp import web


class Ending(Enum):
    WHOLE = auto()
    CUT = auto()  # the connection breaks
    STALLS = auto()  # nothing more comes, and the connection stays


@dataclass(frozen=True, slots=True)
class Stream:
    """Bytes of a body, piece by piece, `pause` seconds apart."""

    pieces: Sequence[bytes]
    ending: Ending = Ending.WHOLE
    pause: float = 0.0
    content_type: str = "text/event-stream; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, *texts: str, prompt_tokens: int = 7, pause: float = 0.0) -> Stream:
        """These texts as a provider streams them."""
        usage = {"prompt_tokens": prompt_tokens, "completion_tokens": len(texts)}
        pieces = [chunk(text) for text in texts] + [chunk(finish="stop"), chunk(usage=usage)]
        return cls([*pieces, b"data: [DONE]\n\n"], pause=pause)


@dataclass(frozen=True, slots=True)
class Refuse:
    """Another status than 200."""

    status: int
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Silence:
    """The request is taken and never answered."""


@dataclass(frozen=True, slots=True)
class HangUp:
    """The connection breaks before the headers."""


Reply = Stream | Refuse | Silence | HangUp


def chunk(
    text: str | None = None,
    *,
    finish: str | None = None,
    usage: Mapping[str, object] | None = None,
    **delta: object,
) -> bytes:
    """One chunk as an event of the stream. One with usage and nothing else has no choices."""
    said = {"content": text} if text is not None else {}
    choice = {"index": 0, "delta": said | delta, "finish_reason": finish}
    empty = not said and not delta and finish is None and usage is not None
    value = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1_700_000_000,
        "model": "m",
        "choices": [] if empty else [choice],
        "usage": usage,
    }
    return b"data: " + json.dumps(value, ensure_ascii=False).encode() + b"\n\n"


class ChatServerDouble:
    """Answers every request with its reply, or with what `choose` makes of the request's body.

    `once_a_connection`: a second request on a connection meets its end, as if it had crossed it.

    `gone` is set when a client has left before the end of its answer, at `left_at` on the monotonic
    clock; `open` counts the requests that are being answered; `peers` are the ends of the
    connections that they came on.
    """

    def __init__(
        self,
        reply: Reply | None = None,
        *,
        choose: Callable[[dict[str, object]], Reply] | None = None,
        once_a_connection: bool = False,
    ) -> None:
        self.reply: Reply = reply or Stream.of("Hello.")
        self._choose = choose
        self._once_a_connection = once_a_connection
        self.requests: list[dict[str, object]] = []
        self.headers: list[dict[str, str]] = []
        self.open = 0
        self.peers: set[object] = set()
        self.came = asyncio.Event()
        self.gone = asyncio.Event()
        self.left_at = 0.0
        self.url = ""

    async def __aenter__(self) -> Self:
        application = web.Application(client_max_size=2**26)
        application.router.add_post("/v1/chat/completions", self._serve)
        self._runner = web.AppRunner(application, shutdown_timeout=0, handler_cancellation=True)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}/v1"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._runner.cleanup()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.requests.append(body)
        self.headers.append(dict(request.headers))
        assert request.transport is not None
        peer = request.transport.get_extra_info("peername")
        if self._once_a_connection and peer in self.peers:
            _break(request)
            return web.Response()
        self.peers.add(peer)
        self.open += 1
        self.came.set()
        try:
            return await self._answer(request, self._choose(body) if self._choose else self.reply)
        except (asyncio.CancelledError, ConnectionError):
            self.left_at = time.monotonic()
            self.gone.set()
            raise
        finally:
            self.open -= 1

    async def _answer(self, request: web.Request, reply: Reply) -> web.StreamResponse:
        match reply:
            case Refuse(status, body, headers):
                return web.Response(
                    status=status,
                    text=body,
                    headers={"Content-Type": "application/json", **headers},
                )
            case Silence():
                await asyncio.Event().wait()
            case HangUp():
                _break(request)
            case Stream():
                return await self._stream(request, reply)
        return web.Response()

    async def _stream(self, request: web.Request, reply: Stream) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": reply.content_type, **reply.headers})
        await response.prepare(request)
        for piece in reply.pieces:
            await asyncio.sleep(reply.pause)
            await response.write(piece)
        if reply.ending is Ending.STALLS:
            await asyncio.Event().wait()
        if reply.ending is Ending.CUT:
            _break(request)
        return response


def _break(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.close()
