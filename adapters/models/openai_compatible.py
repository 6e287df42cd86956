"""Any server with POST /chat/completions: OpenAI, vLLM, llama.cpp, Ollama and many more."""

from __future__ import annotations

import json
import os
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from types import SimpleNamespace

import aiohttp

from adapters.models.openai_errors import http_error
from adapters.models.openai_request import Dialect, request_body
from adapters.models.openai_stream import StreamedAnswer
from adapters.models.refusals import refuse_unsupported
from adapters.models.time_limits import Patience, TimeLimits
from adapters.models.token_bounds import TokenizerFile, bound_tokens, utf8_bound
from core.catalog import Capability, Deployment
from core.generation import GenerationRequest, ModelError, ModelErrorKind, ModelEvent
from core.identifiers import Seconds
from core.messages import Message

POSSIBLE = frozenset(Capability) - {Capability.EMBEDDINGS}
LONGEST_REFUSAL = 65_536
"""Bytes of a response without a stream that are read."""
LONGEST_MESSAGE = 300
"""Characters of an error's message; the provider's own words may be of any length."""

_HIDDEN = "[hidden]"
_SHORTEST_SECRET = 6  # shorter values of headers are words, not secrets


@dataclass(frozen=True, slots=True)
class ChatServer:
    """Where a server is and how it wants to be spoken to.

    `base_url` ends before `/chat/completions`, mostly in `/v1`. `headers` go with every request.
    `ca_file` holds the certificates (PEM) that are trusted, in place of the machine's.
    Connections that idle for longer than `keep_alive` are closed: many servers do so after five
    seconds, and a request that crosses that is lost. `tokenizer` is the model's `tokenizer.json`.
    """

    base_url: str
    api_key: str = field(default="", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    dialect: Dialect = field(default_factory=Dialect)
    limits: TimeLimits = field(default_factory=TimeLimits)
    ca_file: Path | None = None
    proxy: str | None = field(default=None, repr=False)
    connections: int = 256
    keep_alive: Seconds = Seconds(4.0)
    tokenizer: Path | None = None


class OpenAICompatible:
    """One deployment behind HTTP; each call is one request, and an answer is never asked for twice.

    `now` reads the wall clock (aware), for advice to come back that is a date. Raises
    FileNotFoundError or ssl.SSLError where `ca_file` cannot be used.
    """

    def __init__(
        self, deployment: Deployment, server: ChatServer, *, now: Callable[[], datetime]
    ) -> None:
        self._deployment = deployment
        self._server = server
        self._now = now
        self._count = TokenizerFile(server.tokenizer) if server.tokenizer else utf8_bound
        self._trust = ssl.create_default_context(cafile=server.ca_file) if server.ca_file else True
        self._session: aiohttp.ClientSession | None = None
        self._running: set[aiohttp.ClientResponse] = set()
        self._closed = False

    @property
    def deployment(self) -> Deployment:
        """See LanguageModel."""
        return self._deployment

    async def stream(
        self, request: GenerationRequest, *, timeout: Seconds
    ) -> AsyncGenerator[ModelEvent, None]:
        """See LanguageModel. Pieces that arrive together come as one event."""
        refuse_unsupported(request, self._deployment, POSSIBLE)
        body = request_body(request, self._deployment, self._server.dialect)
        try:
            async with self._answer(body, Patience(timeout)) as answer:
                while events := await answer.next():
                    for event in events:
                        yield event
        except (ModelError, aiohttp.ClientError) as error:
            raise self._said(error) from None

    async def count_tokens(self, messages: Sequence[Message]) -> int:
        """See LanguageModel. Exact but for the template where the tokenizer is known."""
        return await bound_tokens(messages, self._count)

    async def close(self) -> None:
        """See LanguageModel."""
        self._closed = True
        for response in self._running:
            response.close()
        if self._session is not None:
            await self._session.close()

    @asynccontextmanager
    async def _answer(
        self, body: Mapping[str, object], patience: Patience
    ) -> AsyncIterator[StreamedAnswer]:
        """The answer to this body; leaving it early closes its connection at once."""
        limits = self._server.limits
        patience.allow(limits.first_token, "the first token")
        response = await patience.wait(self._post(body))
        answer = StreamedAnswer(response.content, patience, limits)
        self._running.add(response)
        try:
            if response.status != HTTPStatus.OK or response.content_type == "application/json":
                said = await patience.wait(_read_at_most(response.content, LONGEST_REFUSAL))
                raise http_error(response.status, response.headers, said, self._now())
            yield answer
        finally:
            self._running.discard(response)
            await answer.leave()
            response.close()

    async def _post(self, body: Mapping[str, object]) -> aiohttp.ClientResponse:
        """Sends the request, again if it met a used connection that the server was just closing.

        Such a request was not answered with a single byte; RFC 9110 (9.2.2) lets a client repeat
        it. Some servers, llama.cpp's among them, close every connection after a stream without
        saying so before.
        """
        data = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
        url = self._server.base_url.rstrip("/") + "/chat/completions"
        session = self._open_session()
        while True:
            way = _Way()
            try:
                return await session.post(
                    url,
                    data=data,
                    proxy=self._server.proxy,
                    allow_redirects=False,
                    trace_request_ctx=way,
                )
            except aiohttp.ServerTimeoutError:
                seconds = self._server.limits.connect
                raise ModelError(
                    ModelErrorKind.CONNECTION,
                    f"no connection to the provider within {seconds:g} s",
                ) from None
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
                if not way.was_used_before:
                    raise

    def _open_session(self) -> aiohttp.ClientSession:
        """Opened at the first use, since a session belongs to the loop that runs then.

        The answer is not to be compressed: a compressor holds small pieces back.
        """
        if self._closed:
            raise ModelError(ModelErrorKind.CONNECTION, "closed")
        if self._session is None:
            server = self._server
            own = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
            key = {"Authorization": f"Bearer {server.api_key}"} if server.api_key else {}
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=server.connections,
                    keepalive_timeout=server.keep_alive,
                    ssl=self._trust,
                ),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=server.limits.connect),
                headers=own | key | dict(server.headers),
                cookie_jar=aiohttp.DummyCookieJar(),
                trace_configs=[_watch_connections()],
            )
        return self._session

    def _said(self, error: ModelError | aiohttp.ClientError) -> ModelError:
        """The error as it may be shown. The library's own messages hold addresses and headers."""
        if self._closed:
            return ModelError(
                ModelErrorKind.CONNECTION, f"the deployment {self._deployment.name} was closed"
            )
        if isinstance(error, ModelError):
            shown = self._hide(error.message)[:LONGEST_MESSAGE]
            return ModelError(error.kind, shown, retry_after=error.retry_after)
        number = error.errno if isinstance(error, OSError) else None
        cause = os.strerror(number) if number and number > 0 else type(error).__name__
        return ModelError(
            ModelErrorKind.CONNECTION, f"the connection to the provider failed or was cut: {cause}"
        )

    def _hide(self, text: str) -> str:
        for secret in (self._server.api_key, *self._server.headers.values()):
            if len(secret) >= _SHORTEST_SECRET:
                text = text.replace(secret, _HIDDEN)
        return text


@dataclass(slots=True)
class _Way:
    """How a request goes out: on a new connection, or on one that served another before."""

    was_used_before: bool = False


def _watch_connections() -> aiohttp.TraceConfig:
    async def note(_: aiohttp.ClientSession, context: SimpleNamespace, __: object) -> None:
        context.trace_request_ctx.was_used_before = True

    trace = aiohttp.TraceConfig()
    trace.on_connection_reuseconn.append(note)
    return trace


async def _read_at_most(body: aiohttp.StreamReader, longest: int) -> bytes:
    whole = bytearray()
    while len(whole) < longest and (received := await body.readany()):
        whole += received
    return bytes(whole[:longest])
