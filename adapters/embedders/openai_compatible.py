"""Any server with POST /v1/embeddings: OpenAI, vLLM, llama.cpp and others."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING

import aiohttp

from adapters.embedders.batching import all_tokens, batches, fit_text
from adapters.embedders.embedding_refusals import refusal
from adapters.embedders.embedding_server import EmbeddingServer
from adapters.embedders.embeddings_wire import counted_tokens, request_body, unit_vectors
from core.errors import Unavailable
from core.generation import ModelError, ModelErrorKind
from core.identifiers import Seconds
from core.ports.embedder import Embedded, TextKind
from core.resilience.retries import Allowance, retry_delay

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from core.identifiers import EmbedderName
    from core.knowledge import Vector

REPLY_BYTES_A_NUMBER = 32
"""As JSON; a reply that is longer than its numbers can explain is not read to its end."""


class OpenAICompatibleEmbedder:
    """One request a batch, a few of them at once; what may pass is sent again after a while.

    Batches that fail are the ones that are repeated: those that came are kept. Repeats are a
    fifth of the requests at most, so that a server that is down is not asked three times as often.

    Raises Unavailable for what did not pass (no connection, time-out, 429, 5xx), with the server's
    own advice when to come back, and ModelError for what will not (key, model, bad request, a
    reply that makes no sense). No message holds the key or the server's words. `draw` is uniform
    in [0, 1), for the waits. Raises FileNotFoundError or ssl.SSLError where a certificate's file
    cannot be used.
    """

    def __init__(
        self,
        server: EmbeddingServer,
        *,
        draw: Callable[[], float] = random.random,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._server = server
        self._draw = draw
        self._now = now
        self._trust = server.trust()
        self._session: aiohttp.ClientSession | None = None
        self._repeats = Allowance()
        self._closed = False

    @property
    def name(self) -> EmbedderName:
        """See EmbeddingServer.recorded_name."""
        return self._server.recorded_name

    @property
    def dimensions(self) -> int:
        """See Embedder."""
        return self._server.dimensions

    @property
    def languages(self) -> frozenset[str]:
        """See Embedder."""
        return self._server.languages

    async def embed(self, texts: Sequence[str], kind: TextKind) -> list[Vector]:
        """See Embedder."""
        return (await self.embed_counted(texts, kind)).vectors

    async def embed_counted(self, texts: Sequence[str], kind: TextKind) -> Embedded:
        """See CountingEmbedder. Unknown as soon as one reply does not count."""
        found: dict[int, Vector] = {}
        counts: list[int | None] = []
        cut = list(batches(texts, self._server.batch))
        waiting = iter(cut)

        async def send() -> None:
            for batch in waiting:
                made = await self._made([texts[place] for place in batch], kind)
                found.update(zip(batch, made.vectors, strict=True))
                counts.append(made.tokens)

        await _all_of([send] * max(1, min(self._server.at_once, len(cut))))
        return Embedded([found[place] for place in range(len(texts))], all_tokens(counts))

    async def close(self) -> None:
        """Close the connections; requests that run fail. Idempotent."""
        self._closed = True
        if self._session is not None:
            await self._session.close()

    async def _made(self, texts: Sequence[str], kind: TextKind) -> Embedded:
        """One batch, sent again where that may help."""
        body = await asyncio.to_thread(self._encode, texts, kind)
        self._repeats = self._repeats.called(_monotonic())
        round = 1
        while True:
            try:
                reply = await self._post(body, len(texts))
            except Unavailable as passing:
                round += 1
                wait = self._wait(round, passing)
                if wait is None:
                    raise
                await asyncio.sleep(wait)
            else:
                return await asyncio.to_thread(self._decode, reply, len(texts))

    def _wait(self, round: int, passing: Unavailable) -> Seconds | None:
        """How long before the batch is sent again; None where it is not."""
        advice = vars(passing).get("retry_after")  # the server's own: the class has one for all
        wait = retry_delay(round, self._server.retry, advice, self._draw())
        spent = None if wait is None or self._closed else self._repeats.spend(_monotonic())
        self._repeats = spent or self._repeats
        return wait if spent else None

    def _encode(self, texts: Sequence[str], kind: TextKind) -> bytes:
        """The body. An empty text goes as a space: servers refuse an empty one."""
        server = self._server
        prefix = server.query_prefix if kind is TextKind.QUERY else server.document_prefix
        fitting = [(prefix + fit_text(text, server.longest_text)) or " " for text in texts]
        return request_body(server.model, fitting, server.dimensions if server.shorten else None)

    def _decode(self, reply: bytes, count: int) -> Embedded:
        matrix = unit_vectors(reply, count, self._server.dimensions)
        matrix.flags.writeable = False
        return Embedded([memoryview(row) for row in matrix], counted_tokens(reply))

    async def _post(self, body: bytes, count: int) -> bytes:
        """The reply's body. Raises what the class says."""
        if self._closed:
            raise Unavailable(f"the embedder {self.name} is closed")
        server, session = self._server, self._open_session()
        url = server.base_url.rstrip("/") + "/embeddings"
        longest = 65_536 + count * server.dimensions * REPLY_BYTES_A_NUMBER
        try:
            async with session.post(
                url, data=body, proxy=server.proxy, allow_redirects=False
            ) as reply:
                if reply.status != HTTPStatus.OK:
                    raise refusal(reply.status, reply.headers, self._now())
                return await _read_at_most(reply.content, longest)
        except TimeoutError:
            raise Unavailable(
                f"the embedding server did not answer within {server.timeout} s"
            ) from None
        except aiohttp.ClientError as error:
            raise Unavailable(
                f"no connection to the embedding server ({type(error).__name__})"
            ) from None

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
                timeout=aiohttp.ClientTimeout(total=server.timeout),
                headers=dict(headers.values()),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session


async def _all_of(works: Sequence[Callable[[], Coroutine[None, None, None]]]) -> None:
    """Do them at once. The first that fails ends the others, and is what is raised."""
    if len(works) == 1:
        await works[0]()
        return
    tasks = [asyncio.create_task(work()) for work in works]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def _read_at_most(content: aiohttp.StreamReader, longest: int) -> bytes:
    whole = bytearray()
    async for chunk in content.iter_any():
        whole += chunk
        if len(whole) > longest:
            raise ModelError(
                ModelErrorKind.MALFORMED_STREAM,
                "the embedding server's reply is longer than the vectors asked for",
            )
    return bytes(whole)


def _monotonic() -> Seconds:
    return Seconds(asyncio.get_running_loop().time())
