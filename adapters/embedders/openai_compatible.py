"""Any server with POST /v1/embeddings: OpenAI, vLLM, llama.cpp and others."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING

import aiohttp

from adapters.embedders.batching import BatchLimits, batches, fit_text
from adapters.embedders.embeddings_wire import counted_tokens, request_body, unit_vectors
from core.errors import Unavailable
from core.generation import ModelError, ModelErrorKind
from core.identifiers import EmbedderName, Seconds
from core.ports.embedder import Embedded, TextKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.knowledge import Vector

DEFAULT_TIMEOUT = Seconds(30.0)
REPLY_BYTES_A_NUMBER = 32
"""As JSON; a reply that is longer than its numbers can explain is not read to its end."""

_PASSING: set[int] = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS}
_PERMANENT: dict[int, ModelErrorKind] = {
    HTTPStatus.UNAUTHORIZED: ModelErrorKind.AUTHENTICATION,
    HTTPStatus.FORBIDDEN: ModelErrorKind.AUTHENTICATION,
    HTTPStatus.NOT_FOUND: ModelErrorKind.UNSUPPORTED,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: ModelErrorKind.CONTEXT_TOO_LONG,
}


@dataclass(frozen=True, slots=True)
class EmbeddingServer:
    """Where the server is and how it wants to be asked.

    `base_url` ends before `/embeddings`, mostly in `/v1`. `name` is what collections record: give
    it one of your own if the same model name may mean other weights some day. `timeout` bounds
    each request. Texts are cut at `longest_text` characters, since many servers refuse what is
    beyond the model's window; the default fits 8,192 tokens. `shorten` asks the server for
    vectors of `dimensions` where the model can make longer ones.
    """

    base_url: str
    model: str
    dimensions: int
    api_key: str = field(default="", repr=False)
    name: str = ""
    languages: frozenset[str] = frozenset()
    query_prefix: str = ""
    document_prefix: str = ""
    batch: BatchLimits = field(default_factory=lambda: BatchLimits(64, 200_000))
    timeout: Seconds = DEFAULT_TIMEOUT
    connections: int = 8
    longest_text: int = 8_000
    shorten: bool = False


class OpenAICompatibleEmbedder:
    """One request a batch, in order; no retries.

    Raises Unavailable for what may pass (no connection, time-out, 429, 5xx), with the server's
    own advice when to come back, and ModelError for what will not (key, model, bad request, a
    reply that makes no sense). No message holds the key or the server's words.
    """

    def __init__(self, server: EmbeddingServer) -> None:
        self._server = server
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    @property
    def name(self) -> EmbedderName:
        """The name in the settings, else made of the model's name and the dimensions."""
        default = f"remote-{self._server.model}-{self._server.dimensions}"
        return EmbedderName(self._server.name or default)

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
        tokens: int | None = 0
        for batch in batches(texts, self._server.batch):
            embedded = await self._embed_batch([texts[place] for place in batch], kind)
            found.update(zip(batch, embedded.vectors, strict=True))
            known = tokens is not None and embedded.tokens is not None
            tokens = (tokens or 0) + (embedded.tokens or 0) if known else None
        return Embedded([found[place] for place in range(len(texts))], tokens)

    async def close(self) -> None:
        """Close the connections; requests that run fail. Idempotent."""
        self._closed = True
        if self._session is not None:
            await self._session.close()

    async def _embed_batch(self, texts: Sequence[str], kind: TextKind) -> Embedded:
        body = await asyncio.to_thread(self._encode, texts, kind)
        reply = await self._post(body, len(texts))
        return await asyncio.to_thread(self._decode, reply, len(texts))

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
        url = self._server.base_url.rstrip("/") + "/embeddings"
        longest = 65_536 + count * self._server.dimensions * REPLY_BYTES_A_NUMBER
        try:
            async with self._open_session().post(url, data=body, allow_redirects=False) as reply:
                if reply.status != HTTPStatus.OK:
                    raise _refusal(reply.status, reply.headers.get("Retry-After", ""))
                return await _read_at_most(reply.content, longest)
        except TimeoutError:
            raise Unavailable(
                f"the embedding server did not answer within {self._server.timeout} s"
            ) from None
        except aiohttp.ClientError as error:
            raise Unavailable(
                f"no connection to the embedding server ({type(error).__name__})"
            ) from None

    def _open_session(self) -> aiohttp.ClientSession:
        """Opened at the first use, since a session belongs to the loop that runs then."""
        if self._session is None:
            key = self._server.api_key
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._server.connections),
                timeout=aiohttp.ClientTimeout(total=self._server.timeout),
                headers={"Content-Type": "application/json"}
                | ({"Authorization": f"Bearer {key}"} if key else {}),
            )
        return self._session


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


def _refusal(status: int, retry_after: str) -> Unavailable | ModelError:
    """The error for a status other than 200."""
    if status in _PASSING or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        advice = Seconds(float(retry_after)) if retry_after.isdecimal() else None
        return Unavailable(
            f"the embedding server is overloaded or failing (HTTP {status})", retry_after=advice
        )
    return ModelError(
        _PERMANENT.get(status, ModelErrorKind.BAD_REQUEST),
        f"the embedding server refused the request (HTTP {status})",
    )
