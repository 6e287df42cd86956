"""A server that speaks POST /v1/embeddings, with faults at the turn of a switch.

async with EmbeddingServerDouble() as server:
    server.fault = Fault.STALLS
    OpenAICompatibleEmbedder(EmbeddingServer(base_url=server.url, ...))
"""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
from enum import Enum, auto
from types import TracebackType
from typing import Self

from aiohttp import web

from fakes.embedder import bag_of_words

KEY = "sk-secret-of-the-test"
MODEL = "bag-of-words"
DIMENSIONS = 256


class Fault(Enum):
    STALLS = auto()
    HANGS_UP = auto()
    CUTS_THE_BODY = auto()
    REDIRECTS = auto()
    NOT_JSON = auto()
    ONE_VECTOR_SHORT = auto()
    INDEX_TWICE = auto()
    WRONG_DIMENSIONS = auto()
    NOT_A_NUMBER = auto()
    ZERO_VECTOR = auto()
    BROKEN_BASE64 = auto()
    ENDLESS_BODY = auto()


class EmbeddingServerDouble:
    """`status` other than 200 is answered to every request, with `retry_after` if it is set.

    The first requests get `statuses`, one each, where there are some. With `together`, no request
    is answered before so many of them are there; `most_at_once` is how many there were.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.fault: Fault | None = None
        self.status = 200
        self.statuses: list[int] = []
        self.together = 1
        self.most_at_once = 0
        self._running = 0
        self._there = asyncio.Condition()
        self._tls = tls
        self.retry_after = ""
        self.as_base64 = False
        self.shuffled = False
        self.requests: list[dict[str, object]] = []
        self.headers: list[dict[str, str]] = []
        self.redirected_to: list[str] = []
        self.stalled = asyncio.Event()
        self._ending = asyncio.Event()
        self.url = ""

    async def __aenter__(self) -> Self:
        application = web.Application(client_max_size=2**26)
        application.router.add_post("/v1/embeddings", self._answer)
        application.router.add_post("/elsewhere", self._elsewhere)
        self._runner = web.AppRunner(application, shutdown_timeout=0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._tls)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"{'https' if self._tls else 'http'}://{host}:{port}/v1"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ending.set()
        await self._runner.cleanup()

    async def _elsewhere(self, request: web.Request) -> web.Response:
        self.redirected_to.append(request.headers.get("Authorization", ""))
        return web.json_response({})

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        asked = await request.json()
        self.requests.append(asked)
        self.headers.append(dict(request.headers))
        status = self.statuses.pop(0) if self.statuses else self.status
        async with self._there:
            self._running += 1
            self.most_at_once = max(self.most_at_once, self._running)
            self._there.notify_all()
            await self._there.wait_for(lambda: self.most_at_once >= self.together)
        try:
            return await self._said(request, asked, status)
        finally:
            self._running -= 1

    async def _said(
        self, request: web.Request, asked: dict[str, object], status: int
    ) -> web.StreamResponse:
        if status != 200:
            headers = {"Retry-After": self.retry_after} if self.retry_after else {}
            said = {"error": {"message": f"your key {KEY} and text were logged", "code": "x"}}
            return web.json_response(said, status=status, headers=headers)
        match self.fault:
            case Fault.STALLS:
                self.stalled.set()
                await self._ending.wait()
            case Fault.HANGS_UP if request.transport is not None:
                request.transport.abort()
            case Fault.REDIRECTS:
                raise web.HTTPTemporaryRedirect("/elsewhere")
            case Fault.NOT_JSON:
                return web.Response(text="<html>It works!</html>")
            case Fault.ENDLESS_BODY | Fault.CUTS_THE_BODY:
                return await self._broken_body(request)
            case _:
                pass
        return web.json_response(self._reply(asked))

    async def _broken_body(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b'{"data": [')
        try:
            while self.fault is Fault.ENDLESS_BODY and not self._ending.is_set():
                await response.write(b" " * 65_536)
        except ConnectionError:
            return response
        if request.transport is not None:
            request.transport.abort()
        return response

    def _reply(self, asked: dict[str, object]) -> dict[str, object]:
        texts = asked["input"]
        assert isinstance(texts, list)
        data = [self._item(index, text) for index, text in enumerate(texts)]
        if self.fault is Fault.ONE_VECTOR_SHORT:
            data.pop()
        if self.shuffled:
            data.reverse()
        usage = {"prompt_tokens": 7, "total_tokens": 7}
        return {"object": "list", "data": data, "model": MODEL, "usage": usage}

    def _item(self, index: int, text: str) -> dict[str, object]:
        assert text, "servers refuse an empty text"
        vector = bag_of_words(text, DIMENSIONS)
        values = [3.0 * value for value in vector.tolist()]  # not normalised
        embedding: object = values
        match self.fault:
            case Fault.WRONG_DIMENSIONS:
                embedding = values[:-1]
            case Fault.NOT_A_NUMBER:
                embedding = [*values[:-1], float("nan")]
            case Fault.ZERO_VECTOR:
                embedding = [0.0] * DIMENSIONS
            case Fault.BROKEN_BASE64:
                embedding = "###"
            case _ if self.as_base64:
                embedding = base64.b64encode(vector.tobytes()).decode()
        place = 0 if self.fault is Fault.INDEX_TWICE else index
        return {"object": "embedding", "index": place, "embedding": embedding}


def recorded_reply() -> bytes:
    """A reply in the shape and with the field order that such servers send."""
    item = {"object": "embedding", "index": 0, "embedding": [0.6, 0.8]}
    usage = {"prompt_tokens": 2, "total_tokens": 2}
    return json.dumps({"object": "list", "data": [item], "model": "m", "usage": usage}).encode()
