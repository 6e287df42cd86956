"""A model behind HTTP: the one adapter that speaks every provider's format."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from types import SimpleNamespace

import aiohttp

from adapters.models.answer_stream import ArrivingAnswer, StreamedAnswer, WholeAnswer, read_at_most
from adapters.models.key_pool import KeyPool
from adapters.models.provider_errors import connection_error, http_error
from adapters.models.refusals import refuse_unsupported
from adapters.models.time_limits import Patience
from adapters.models.token_bounds import TokenizerFile, bound_tokens, token_bounds, utf8_bound
from adapters.models.upstream import Upstream
from adapters.models.wire import AnswerReader, Wire, WireRequest
from core.catalog import Deployment
from core.generation import GenerationRequest, ModelError, ModelErrorKind, ModelEvent
from core.identifiers import Seconds
from core.messages import Message
from core.ports.token_bounds import TokenBounds

LONGEST_REFUSAL = 65_536
"""Bytes of a response without an answer that are read."""
AT_ONCE = Seconds(1.0)
"""How soon a connection's end is noticed that a request has crossed."""
LONGEST_MESSAGE = 300
"""Characters of an error's message; the provider's own words may be of any length."""

_OWN_HEADERS = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
"""The answer is not to be compressed: a compressor holds small pieces back."""


class RemoteModel:
    """One deployment behind HTTP; each call is one request, and an answer is never asked for twice.

    `now` reads the wall clock (aware), for advice to come back that is a date. Raises
    FileNotFoundError or ssl.SSLError where a certificate's file cannot be used.
    """

    def __init__(
        self,
        deployment: Deployment,
        upstream: Upstream,
        wire: Wire,
        *,
        now: Callable[[], datetime],
    ) -> None:
        self._deployment = deployment
        self._upstream = upstream
        self._wire = wire
        self._now = now
        self._count = TokenizerFile(upstream.tokenizer) if upstream.tokenizer else utf8_bound
        self._trust = upstream.trust()
        self._session: aiohttp.ClientSession | None = None
        self._keys: KeyPool | None = None
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
        refuse_unsupported(request, self._deployment, self._wire.possible)
        written = self._wire.request(request, self._deployment)
        patience = Patience(timeout)
        token = key = ""
        try:
            key = self._open_keys().take()
            if not request.whole:
                patience.allow(self._upstream.limits.first_token, "the first token")
            if self._upstream.token is not None:
                token = await patience.wait(self._upstream.token())
            headers = self._headers(written, token, key) | self._trace(request)
            reader = self._wire.reader(request)
            async with self._answer(written, headers, reader, patience) as answer:
                while events := await answer.next():
                    for event in events:
                        yield event
        except (ModelError, aiohttp.ClientError) as error:
            raise self._said(error, token, key) from None

    async def count_tokens(self, messages: Sequence[Message]) -> int:
        """See LanguageModel. Exact but for the template where the tokenizer is known."""
        return await bound_tokens(messages, self._count)

    async def count_bounds(self, messages: Sequence[Message]) -> TokenBounds:
        """See BoundingModel."""
        return await token_bounds(messages, self._count)

    async def close(self) -> None:
        """See LanguageModel."""
        self._closed = True
        for response in self._running:
            response.close()
        if self._session is not None:
            await self._session.close()

    @asynccontextmanager
    async def _answer(
        self,
        written: WireRequest,
        headers: Mapping[str, str],
        reader: AnswerReader,
        patience: Patience,
    ) -> AsyncIterator[ArrivingAnswer]:
        """The answer to this request; leaving it early closes its connection at once."""
        response = await patience.wait(self._post(written, headers))
        body = response.content
        answer: ArrivingAnswer = StreamedAnswer(body, reader, patience, self._upstream.limits)
        self._running.add(response)
        try:
            if response.status != HTTPStatus.OK:
                said = await patience.wait(read_at_most(body, LONGEST_REFUSAL))
                raise http_error(response.status, response.headers, said, self._now())
            if response.content_type == "application/json":
                answer = WholeAnswer(body, reader, patience)
            yield answer
        finally:
            self._running.discard(response)
            patience.leave()
            await answer.leave()
            response.close()

    async def _post(
        self, written: WireRequest, headers: Mapping[str, str]
    ) -> aiohttp.ClientResponse:
        """Sends the request, again if it met a used connection that the server was just closing.

        Such a request was not answered with a single byte; RFC 9110 (9.2.2) lets a client repeat
        it. Some servers, llama.cpp's among them, close every connection after a stream without
        saying so before. A connection that breaks later may have been at work: that is an error.
        """
        text = json.dumps(written.body, ensure_ascii=False, separators=(",", ":"))
        data = text.encode("utf-8", "replace")
        url = self._upstream.base_url.rstrip("/") + written.path
        session = self._open_session()
        while True:
            way = _Way(asyncio.get_running_loop().time() + AT_ONCE)
            try:
                return await session.post(
                    url,
                    data=data,
                    headers=headers,
                    proxy=self._upstream.proxy,
                    allow_redirects=False,
                    trace_request_ctx=way,
                )
            except aiohttp.ServerTimeoutError:
                seconds = self._upstream.limits.connect
                raise ModelError(
                    ModelErrorKind.CONNECTION,
                    f"no connection to the provider within {seconds:g} s",
                ) from None
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
                late = asyncio.get_running_loop().time() > way.crossed_before
                if late or not way.was_used_before:
                    raise

    def _headers(self, written: WireRequest, token: str, key: str) -> dict[str, str]:
        """Ours, then the format's, then what proves who we are; the operator's own win."""
        if token:
            proof: Mapping[str, str] = {"Authorization": f"Bearer {token}"}
        else:
            proof = self._wire.authorization(key) if key else {}
        headers: dict[str, tuple[str, str]] = {}
        for more in (_OWN_HEADERS, written.headers, proof, self._upstream.headers):
            headers |= {name.lower(): (name, value) for name, value in more.items()}
        return dict(headers.values())

    def _trace(self, request: GenerationRequest) -> dict[str, str]:
        """The caller's trace, where this provider may be told it."""
        trace = request.trace
        if trace is None or not self._upstream.forward_trace:
            return {}
        return {"traceparent": trace.parent} | ({"tracestate": trace.state} if trace.state else {})

    def _open_keys(self) -> KeyPool:
        """Made at the first use, since it looks at the clock of the loop that runs then."""
        if self._keys is None:
            secrets = (self._upstream.api_key, *self._upstream.more_keys)
            clock = asyncio.get_running_loop().time
            self._keys = KeyPool(secrets, clock, self._upstream.key_rested)
        return self._keys

    def _open_session(self) -> aiohttp.ClientSession:
        """Opened at the first use, since a session belongs to the loop that runs then."""
        if self._closed:
            raise ModelError(ModelErrorKind.CONNECTION, "closed")
        if self._session is None:
            upstream = self._upstream
            connect = upstream.limits.connect
            # Where connections are bounded, the whole way to one includes waiting for its turn.
            whole_way = None if upstream.connections else connect
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=upstream.connections,
                    keepalive_timeout=upstream.keep_alive,
                    ssl=self._trust,
                ),
                timeout=aiohttp.ClientTimeout(total=None, connect=whole_way, sock_connect=connect),
                cookie_jar=aiohttp.DummyCookieJar(),
                trace_configs=[_watch_connections()],
            )
        return self._session

    def _said(self, error: ModelError | aiohttp.ClientError, token: str, key: str) -> ModelError:
        """The error as it may be shown. The library's own messages hold addresses and headers."""
        if self._closed:
            return ModelError(
                ModelErrorKind.CONNECTION, f"the deployment {self._deployment.name} was closed"
            )
        if not isinstance(error, ModelError):
            error = connection_error(error)
        error = self._open_keys().judge(key, error)
        shown = self._upstream.hide(error.message, token)[:LONGEST_MESSAGE]
        return ModelError(error.kind, shown, retry_after=error.retry_after)


@dataclass(slots=True)
class _Way:
    """How a request goes out: on a new connection, or on one that served another before.

    One that crosses the connection's end is told so until `crossed_before`, on the loop's clock.
    """

    crossed_before: float
    was_used_before: bool = False


def _watch_connections() -> aiohttp.TraceConfig:
    async def note(_: aiohttp.ClientSession, context: SimpleNamespace, __: object) -> None:
        context.trace_request_ctx.was_used_before = True

    trace = aiohttp.TraceConfig()
    trace.on_connection_reuseconn.append(note)
    return trace
