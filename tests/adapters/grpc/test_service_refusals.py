"""Refusals of the services other than chat, and of a store that fails behind any of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask
from grpc import StatusCode

from colonnade.v1.conversations_pb2 import (
    Conversation,
    CreateConversationRequest,
    UpdateConversationRequest,
)
from colonnade.v1.counting_pb2 import CountTokensRequest
from colonnade.v1.embeddings_pb2 import EmbedRequest
from colonnade.v1.knowledge_pb2 import Collection, CreateCollectionRequest
from colonnade.v1.models_pb2 import GenerateRequest
from colonnade.v1.retrieval_pb2 import (
    SEARCH_STRATEGY_VECTOR,
    BuildContextRequest,
    SearchRequest,
)
from core.errors import StorageFull
from core.generation import ModelError, ModelErrorKind
from core.knowledge import Vector
from core.ports.embedder import TextKind
from core.ports.state import Scope
from fakes.embedder import FakeEmbedder
from fakes.language_model import Fail, script
from fakes.rich_errors import Refusal, refused
from fakes.served_node import ServedNode, ask, pieces, served_node, user
from fakes.state import FakeState, FakeTransaction

EXISTS = (StatusCode.ALREADY_EXISTS, "RESOURCE_EXISTS")
REUSED = (StatusCode.ALREADY_EXISTS, "REQUEST_ID_REUSED")
UNSUPPORTED = (StatusCode.FAILED_PRECONDITION, "FEATURE_UNSUPPORTED")


def said(refusal: Refusal) -> tuple[StatusCode, str]:
    return refusal.code, refusal.reason


async def create(node: ServedNode, title: str = "", request_id: str = "") -> Conversation:
    request = CreateConversationRequest(
        conversation=Conversation(title=title, labels={"team": "a"}), request_id=request_id
    )
    made: Conversation = await node.stubs.conversations.CreateConversation(
        request, metadata=node.key()
    )
    return made


def update(node: ServedNode, *paths: str, **fields: Any) -> Any:
    request = UpdateConversationRequest(
        conversation=Conversation(**fields), update_mask=FieldMask(paths=paths)
    )
    return node.stubs.conversations.UpdateConversation(request, metadata=node.key())


async def test_a_collection_is_made_once(node: ServedNode) -> None:
    request = CreateCollectionRequest(collection_id="docs")
    await node.stubs.knowledge.CreateCollection(request, metadata=node.key())
    refusal = await refused(node.stubs.knowledge.CreateCollection(request, metadata=node.key()))
    assert said(refusal) == EXISTS
    assert refusal.metadata == {"kind": "collection", "name": "docs"}
    await node.stubs.knowledge.CreateCollection(request, metadata=node.key("ann", "rival"))


async def test_an_embedder_that_is_not_here_is_said(node: ServedNode) -> None:
    request = CreateCollectionRequest(collection_id="docs", collection=Collection(embedder="bert"))
    refusal = await refused(node.stubs.knowledge.CreateCollection(request, metadata=node.key()))
    assert said(refusal) == UNSUPPORTED
    assert refusal.metadata == {"feature": "embedder"}


async def test_a_conversation_is_made_once_a_request_id(node: ServedNode) -> None:
    made = await create(node, "one", "r1")
    assert await create(node, "one", "r1") == made
    request = CreateConversationRequest(conversation=Conversation(title="two"), request_id="r1")
    refusal = await refused(
        node.stubs.conversations.CreateConversation(request, metadata=node.key())
    )
    assert said(refusal) == REUSED
    assert refusal.metadata == {"request_id": "r1"}
    assert (await node.line(refusal.call_id))["request_id"] == "r1"


async def test_a_change_on_stale_grounds_is_aborted(node: ServedNode) -> None:
    made = await create(node, "one")
    changed = await update(node, "title", name=made.name, title="two", etag=made.etag)
    assert (changed.title, changed.labels) == ("two", {"team": "a"})
    refusal = await refused(update(node, "title", name=made.name, title="three", etag=made.etag))
    assert said(refusal) == (StatusCode.ABORTED, "STALE_ETAG")
    assert refusal.metadata == {"name": made.name.removeprefix("conversations/")}


async def test_without_a_mask_what_is_empty_stays(node: ServedNode) -> None:
    made = await create(node, "one")
    changed = await update(node, name=made.name, title="two")
    assert (changed.title, changed.labels) == ("two", {"team": "a"})
    emptied = await update(node, "title", "labels", name=made.name)
    assert (emptied.title, emptied.labels) == ("", {})


async def test_a_generation_runs_at_most_once_a_request_id(node: ServedNode) -> None:
    request = GenerateRequest(messages=[user("Hi")], request_id="r1")
    answer = await node.stubs.models.Generate(request, metadata=node.key())
    assert answer.message.parts[0].text == "Hello."
    for method in (node.stubs.models.Generate, node.stubs.models.StreamGenerate):
        refusal = await refused(method(request, metadata=node.key()))
        assert said(refusal) == REUSED
        assert refusal.metadata == {"request_id": "r1"}


async def test_an_unknown_model_is_not_found(node: ServedNode) -> None:
    for call in (
        node.stubs.models.Generate(
            GenerateRequest(messages=[user("Hi")], model="none"), metadata=node.key()
        ),
        node.stubs.models.CountTokens(
            CountTokensRequest(text="Hi", model="none"), metadata=node.key()
        ),
    ):
        refusal = await refused(call)
        assert said(refusal) == (StatusCode.NOT_FOUND, "RESOURCE_NOT_FOUND")
        assert refusal.resource == ("model", "none")


async def test_a_generation_without_any_model_left_is_unavailable() -> None:
    error = ModelError(ModelErrorKind.OVERLOADED, "busy")
    async with served_node(script(Fail(error))) as node:
        request = GenerateRequest(messages=[user("Hi")])
        refusal = await refused(node.stubs.models.Generate(request, metadata=node.key()))
        assert said(refusal) == (StatusCode.UNAVAILABLE, "MODELS_UNAVAILABLE")
        assert dict(refusal.infos[1].metadata) == {"model": "strong", "cause": "overloaded"}


async def test_a_search_without_its_embedder_goes_on_by_words() -> None:
    embedder = FakeEmbedder()
    async with served_node(embedder=embedder) as node:
        await node.ingest(pieces("docs", {"a.md": b"The gate closes at nine."}))
        embedder.missing = True
        request = SearchRequest(query="gate", collections=["collections/docs"])
        found = await node.stubs.retrieval.Search(request, metadata=node.key())
        assert found.degraded
        assert [hit.chunk.uri for hit in found.hits] == ["a.md"]
        request.strategy = SEARCH_STRATEGY_VECTOR
        refusal = await refused(node.stubs.retrieval.Search(request, metadata=node.key()))
        assert said(refusal) == (StatusCode.UNAVAILABLE, "SERVICE_UNAVAILABLE")
        assert refusal.retry_after == 1.0


class FullDisk(FakeState):
    """A store whose disk has no room for a further row."""

    full = False

    @asynccontextmanager
    async def transaction(self, scope: Scope) -> AsyncIterator[FakeTransaction]:
        async with super().transaction(scope) as tx:
            yield tx
            if self.full:
                raise StorageFull("there is no room on the store's disk")


def writes(node: ServedNode) -> dict[str, Any]:
    return {
        "chat": node.stubs.chat.StreamChat(ask(), metadata=node.key()),
        "conversation": node.stubs.conversations.CreateConversation(
            CreateConversationRequest(), metadata=node.key()
        ),
        "ingest": node.ingest(pieces("docs", {"a.md": b"Text."})),
    }


async def test_a_full_disk_is_said_and_reading_goes_on() -> None:
    state = FullDisk()
    async with served_node(state=state) as node:
        talk = await node.converse("Hi")
        state.full = True
        for name, write in writes(node).items():
            refusal = await refused(write)
            assert said(refusal) == (StatusCode.RESOURCE_EXHAUSTED, "STORAGE_FULL"), name
            assert (refusal.retry_after, len(refusal.quota)) == (30.0, 1), name
        state.full = False
        await node.stubs.chat.Chat(ask(conversation=talk), metadata=node.key())


async def test_a_store_that_is_away_is_unavailable_and_comes_back() -> None:
    state = FakeState()
    async with served_node(state=state) as node:
        await node.converse()
        state.faults.away = True
        for name, write in writes(node).items():
            refusal = await refused(write)
            assert said(refusal) == (StatusCode.UNAVAILABLE, "SERVICE_UNAVAILABLE"), name
            assert refusal.retry_after == 1.0
        state.faults.away = False
        await node.converse("Hi")


class BrokenEmbedder(FakeEmbedder):
    async def embed(self, texts: Sequence[str], kind: TextKind) -> list[Vector]:
        raise RuntimeError("/root/secret/path")


async def test_a_bug_tells_the_call_and_nothing_else() -> None:
    async with served_node(embedder=BrokenEmbedder(), bugs=2) as node:
        await node.stubs.knowledge.CreateCollection(
            CreateCollectionRequest(collection_id="docs"), metadata=node.key()
        )
        about = BuildContextRequest(query="a", collections=["collections/docs"])
        calls: list[Callable[[], Awaitable[object]]] = [
            lambda: node.stubs.models.Embed(EmbedRequest(texts=["a"]), metadata=node.key()),
            lambda: node.stubs.retrieval.BuildContext(about, metadata=node.key()),
        ]
        for call in calls:
            refusal = await refused(call())
            assert said(refusal) == (StatusCode.INTERNAL, "INTERNAL")
            assert refusal.call_id in refusal.message
            assert "secret" not in str(refusal)
            assert node.lines("bug")[-1]["call_id"] == refusal.call_id
