"""Any server with POST /rerank: Cohere, Jina, vLLM, llama.cpp, TEI."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from http import HTTPStatus

import aiohttp

from adapters.rerankers.rerank_refusals import refusal
from adapters.rerankers.rerank_server import RerankServer
from adapters.rerankers.rerank_wire import request_body, scored
from core.generation import ModelError, ModelErrorKind
from core.identifiers import Seconds
from core.ports.reranker import Scored
from core.trace import TraceContext

_REPLY_BYTES = 65_536
_REPLY_BYTES_A_DOCUMENT = 256
"""Without the texts, which are not asked for; a longer reply is not read to its end."""


class RemoteReranker:
    """One request a call; no retries. No error holds the key or the server's words.

    Raises FileNotFoundError or ssl.SSLError where a certificate's file cannot be used.
    """

    def __init__(
        self, server: RerankServer, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._server = server
        self._now = now
        self._trust = server.trust()
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    @property
    def name(self) -> str:
        """See Reranker."""
        return self._server.model

    async def rerank(
        self,
        query: str,
        documents: Sequence[str],
        *,
        timeout: Seconds,
        trace: TraceContext | None = None,
    ) -> Scored:
        """See Reranker."""
        if not documents:
            return Scored((), 0)
        server = self._server
        body = await asyncio.to_thread(
            request_body, server.format, server.model, query, documents, server.longest_text
        )
        reply = await self._post(body, len(documents), timeout, self._trace(trace))
        return await asyncio.to_thread(scored, reply, len(documents))

    async def close(self) -> None:
        """See Reranker."""
        self._closed = True
        if self._session is not None:
            await self._session.close()

    def _trace(self, trace: TraceContext | None) -> dict[str, str]:
        """The caller's trace, where this server may be told it."""
        if trace is None or not self._server.forward_trace:
            return {}
        return {"traceparent": trace.parent} | ({"tracestate": trace.state} if trace.state else {})

    async def _post(
        self, body: bytes, count: int, timeout: Seconds, more: Mapping[str, str]
    ) -> bytes:
        """The reply's body. Raises ModelError."""
        if self._closed:
            raise self._was_closed()
        server, session = self._server, self._open_session()
        url = server.base_url.rstrip("/") + "/rerank"
        longest = _REPLY_BYTES + count * _REPLY_BYTES_A_DOCUMENT
        try:
            async with (
                asyncio.timeout(timeout),
                session.post(
                    url, data=body, headers=more, proxy=server.proxy, allow_redirects=False
                ) as reply,
            ):
                if reply.status != HTTPStatus.OK:
                    raise refusal(reply.status, reply.headers, self._now())
                return await _read_at_most(reply.content, longest)
        except TimeoutError:
            raise ModelError(
                ModelErrorKind.TIMEOUT, f"the reranking server did not answer within {timeout:g} s"
            ) from None
        except aiohttp.ClientError as error:
            if self._closed:
                raise self._was_closed() from None
            raise ModelError(
                ModelErrorKind.CONNECTION,
                f"the connection to the reranking server failed or was cut "
                f"({type(error).__name__})",
            ) from None

    def _was_closed(self) -> ModelError:
        return ModelError(ModelErrorKind.CONNECTION, f"the reranker {self.name} was closed")

    def _open_session(self) -> aiohttp.ClientSession:
        """Opened at the first use, since a session belongs to the loop that runs then."""
        if self._session is None:
            server, key = self._server, self._server.api_key
            proof = {"Authorization": f"Bearer {key}"} if key else {}
            headers: dict[str, tuple[str, str]] = {}
            for more in ({"Content-Type": "application/json"}, proof, server.headers):
                headers |= {name.lower(): (name, value) for name, value in more.items()}
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=server.connections, ssl=self._trust),
                timeout=aiohttp.ClientTimeout(total=None),
                headers=dict(headers.values()),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session


async def _read_at_most(content: aiohttp.StreamReader, longest: int) -> bytes:
    whole = bytearray()
    async for chunk in content.iter_any():
        whole += chunk
        if len(whole) > longest:
            raise ModelError(
                ModelErrorKind.MALFORMED_STREAM,
                "the reranking server's reply is longer than the scores asked for",
            )
    return bytes(whole)
