"""A whole server in this process, on a port of its own, that speaks real gRPC.

async with served_node(script("Hello.")) as node:
    turn = await node.stubs.chat.Chat(ask("Hi"), metadata=node.key(), timeout=10)

Only the models, the embedder and, where a test wants faults, the state are fakes; and the reader
of documents, unless `real_reader` is asked for.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
from collections.abc import (
    AsyncIterator,
    Callable,
    Collection,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import grpc
from dependency_injector import providers

from adapters.telemetry.structured_log import LogOptions, StructuredLog
from colonnade.client.stubs import AsyncStubs
from colonnade.v1.chat_pb2 import ChatRequest
from colonnade.v1.conversations_pb2 import CreateConversationRequest
from colonnade.v1.ingestion_pb2 import (
    DocumentStart,
    IngestDocumentsRequest,
    IngestDocumentsResponse,
    IngestHeader,
)
from colonnade.v1.messages_pb2 import Message, Part
from colonnaded.container import Container
from colonnaded.node import serving
from colonnaded.settings import Settings
from core.api_keys import ApiKey, digest_of
from core.catalog import Catalog
from core.identifiers import ApiKeyId, TenantId, UserId
from core.ports.embedder import Embedder
from core.ports.language_model import LanguageModel
from core.ports.state import State
from fakes.document_reader import FakeDocumentReader
from fakes.embedder import FakeEmbedder
from fakes.language_model import Script
from fakes.turn_node import a_model
from services.embedders import Embedders
from services.models.deployments import Deployments, LiveDeployments

Metadata = tuple[tuple[str, str], ...]
Override = Callable[[Container], None]
EMBEDDER = "fake"
PIECE_BYTES = 256 * 1024


def ask(text: str = "Hi", **fields: Any) -> ChatRequest:
    """A chat request whose message is this text."""
    return ChatRequest(message=user(text), **fields)


def user(*texts: str) -> Message:
    """What a user says, in so many parts."""
    return Message(parts=[Part(text=text) for text in texts])


@dataclass
class ServedNode:
    """The server as its callers and its operator see it."""

    address: str
    container: Container
    state: State
    channel: grpc.aio.Channel
    log: io.StringIO
    stubs: AsyncStubs = field(init=False)

    def __post_init__(self) -> None:
        self.stubs = AsyncStubs.of(self.channel)

    def key(self, user: str = "ann", tenant: str = "acme") -> Metadata:
        """The metadata of a call by this user, whose key may do everything."""
        return bearer(secret_of(user, tenant))

    async def add_key(
        self,
        secret: str,
        *scopes: str,
        expires_at: datetime | None = None,
        revoked_at: datetime | None = None,
    ) -> Metadata:
        """A key of Ann's for these scopes."""
        key = a_key(secret, "ann", "acme", scopes)
        async with self.state.transaction(key.tenant) as tx:
            tx.api_keys.insert(replace(key, expires_at=expires_at, revoked_at=revoked_at))
        return bearer(secret)

    async def converse(self, *questions: str, **fields: Any) -> str:
        """Ann's new conversation, in which this was asked; its name."""
        made = await self.stubs.conversations.CreateConversation(
            CreateConversationRequest(), metadata=self.key()
        )
        for question in questions:
            request = ask(question, conversation=made.name, **fields)
            await self.stubs.chat.Chat(request, metadata=self.key())
        return made.name

    async def ingest(
        self, pieces: Iterable[IngestDocumentsRequest], key: Metadata | None = None
    ) -> IngestDocumentsResponse:
        """What became of the pieces of an ingest."""
        call = self.stubs.knowledge.IngestDocuments(iter(pieces), metadata=key or self.key())
        response: IngestDocumentsResponse = await call
        return response

    def lines(self, event: str = "call") -> list[dict[str, Any]]:
        """The log's lines of this kind so far."""
        logged = [json.loads(line) for line in self.log.getvalue().splitlines()]
        return [line for line in logged if line["event"] == event]

    async def line(self, call_id: str) -> dict[str, Any]:
        """The log line of one call, which comes just after its status."""
        return (await self.logged(lambda line: bool(line["call_id"] == call_id)))[0]

    async def logged(
        self, wanted: Callable[[dict[str, Any]], bool] = lambda line: True, count: int = 1
    ) -> list[dict[str, Any]]:
        """The lines of calls that are wanted, once there are so many."""
        async with asyncio.timeout(5):
            while True:
                found = [line for line in self.lines() if wanted(line)]
                if len(found) >= count:
                    return found
                await asyncio.sleep(0.001)


def pieces(
    collection: str, documents: Mapping[str, bytes], **start: Any
) -> Iterator[IngestDocumentsRequest]:
    """An ingest of these documents, by uri; `start` are fields of each document's start."""
    header = IngestHeader(collection=f"collections/{collection}", create_collection=True)
    yield IngestDocumentsRequest(header=header)
    for uri, data in documents.items():
        yield IngestDocumentsRequest(start=DocumentStart(uri=uri, **start))
        for at in range(0, len(data), PIECE_BYTES):
            yield IngestDocumentsRequest(data=data[at : at + PIECE_BYTES])


def bearer(secret: str) -> Metadata:
    """The metadata of a call with this key."""
    return (("authorization", f"Bearer {secret}"),)


def secret_of(user: str, tenant: str) -> str:
    """The key of one who may do everything."""
    return "ck_" + hashlib.sha256(f"{tenant}/{user}".encode()).hexdigest()


def a_key(secret: str, user: str, tenant: str, scopes: Collection[str]) -> ApiKey:
    """A key as it is stored."""
    return ApiKey(
        id=ApiKeyId(f"key_{digest_of(secret)[:8]}"),
        tenant=TenantId(tenant),
        user=UserId(user),
        digest=digest_of(secret),
        scopes=frozenset(scopes),
        created_at=datetime.now(UTC),
    )


CALLERS = (("ann", "acme"), ("bob", "acme"), ("ann", "rival"))


@asynccontextmanager
async def served_node(
    *answers: Script | LanguageModel,
    state: State | None = None,
    embedder: Embedder | None = None,
    real_reader: bool = False,
    override: Override | None = None,
    bugs: int = 0,
    **settings: Any,
) -> AsyncIterator[ServedNode]:
    """A server that listens. `answers`: what its one model says, or models.

    Leaving the block makes sure that as many bugs were reported as the test expects.
    """
    scripts = [each for each in answers if isinstance(each, tuple)]
    models = [each for each in answers if not isinstance(each, tuple)] or [a_model(*scripts)]
    log = io.StringIO()
    opened: list[Container] = []

    def exchange(container: Container) -> None:
        opened.append(container)
        embedders = Embedders({EMBEDDER: embedder or FakeEmbedder()}, EMBEDDER)
        container.embedders.override(providers.Object(embedders))
        container.deployments.override(providers.Object(_deployments(models)))
        container.log.override(providers.Object(StructuredLog(LogOptions(), log)))
        if not real_reader:
            container.documents.override(providers.Object(FakeDocumentReader()))
        if state is not None:
            container.state.override(providers.Resource(_opened, state))
        if override is not None:
            override(container)

    with TemporaryDirectory() as folder:
        async with serving(_settings(Path(folder), settings), exchange) as serves:
            container = opened[0]
            store = state or await container.state.async_()
            async with grpc.aio.insecure_channel(serves.address) as channel:
                await _let_in(store)
                node = ServedNode(serves.address, container, store, channel, log)
                yield node
    reported = node.lines("bug")
    assert len(reported) == bugs, reported


async def _opened(state: State) -> AsyncIterator[State]:
    yield state


def _settings(folder: Path, changes: dict[str, Any]) -> Settings:
    base: dict[str, Any] = {
        "data_dir": folder,
        "server": {"address": "127.0.0.1:0"},
        "embedders": {EMBEDDER: {"adapter": "minilm"}},
        "retrieval": {"embedder": EMBEDDER},
    }
    for name, table in changes.items():
        base[name] = {**base.get(name, {}), **table}
    return Settings(**base)


def _deployments(models: Sequence[LanguageModel]) -> LiveDeployments:
    catalog = Catalog({model.deployment.name: model.deployment for model in models}, {})
    served = {model.deployment.name: model for model in models}
    return LiveDeployments(Deployments(catalog, served))


async def _let_in(state: State) -> None:
    """Make everybody's key, unless another node on the same state has."""
    for user_name, tenant in CALLERS:
        key = a_key(secret_of(user_name, tenant), user_name, tenant, ["*"])
        async with state.transaction(key.tenant) as tx:
            if key.digest not in {known.digest for known in await tx.api_keys.list()}:
                tx.api_keys.insert(key)
