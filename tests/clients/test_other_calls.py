"""Conversations, models and searches, with either client."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from clients.either_client import Either, open_server
from colonnade.client import Unavailable
from colonnade.v1 import (
    conversations_pb2,
    conversations_pb2_grpc,
    counting_pb2,
    models_pb2,
    models_pb2_grpc,
    retrieval_pb2,
    retrieval_pb2_grpc,
)
from colonnade.v1.messages_pb2 import Message
from colonnade.v1.turns_pb2 import FINISH_REASON_STOP

Context = grpc.aio.ServicerContext[Any, Any]


class Talks(conversations_pb2_grpc.ConversationServiceServicer):
    """Knows seven conversations, and tells them three a page. The first call always fails."""

    def __init__(self) -> None:
        self.requests: list[Any] = []

    async def CreateConversation(
        self, request: conversations_pb2.CreateConversationRequest, context: Context
    ) -> conversations_pb2.Conversation:
        self.requests.append(request)
        if len(self.requests) == 1:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "not yet")
        return request.conversation

    async def ListConversations(
        self, request: conversations_pb2.ListConversationsRequest, context: Context
    ) -> conversations_pb2.ListConversationsResponse:
        begin = int(request.page_token or 0)
        names = [f"conversations/{i}" for i in range(7)]
        return conversations_pb2.ListConversationsResponse(
            conversations=[
                conversations_pb2.Conversation(name=name) for name in names[begin : begin + 3]
            ],
            next_page_token=str(begin + 3) if begin + 3 < len(names) else "",
        )

    async def UpdateConversation(
        self, request: conversations_pb2.UpdateConversationRequest, context: Context
    ) -> conversations_pb2.Conversation:
        self.requests.append(request)
        return request.conversation

    async def ExportConversation(
        self, request: conversations_pb2.ExportConversationRequest, context: Context
    ) -> AsyncIterator[conversations_pb2.ExportConversationResponse]:
        piece = conversations_pb2.ExportConversationResponse
        yield piece(conversation=conversations_pb2.Conversation(name=request.name))
        yield piece(message=Message(name="m1"))
        yield piece(message=Message(name="m2"))


class Writers(models_pb2_grpc.ModelServiceServicer):
    """Writes two words. Without a seed it stops in the middle."""

    async def StreamGenerate(
        self, request: models_pb2.GenerateRequest, context: Context
    ) -> AsyncIterator[models_pb2.StreamGenerateResponse]:
        yield models_pb2.StreamGenerateResponse(text="Yes, ")
        if request.options.HasField("seed"):
            yield models_pb2.StreamGenerateResponse(text="sir.", finish_reason=FINISH_REASON_STOP)

    async def CountTokens(
        self, request: counting_pb2.CountTokensRequest, context: Context
    ) -> counting_pb2.CountTokensResponse:
        return counting_pb2.CountTokensResponse(tokens=len(request.text.split()))

    async def ListModels(
        self, request: models_pb2.ListModelsRequest, context: Context
    ) -> models_pb2.ListModelsResponse:
        return models_pb2.ListModelsResponse(
            models=[models_pb2.Model(name="smollm2")], routes=[models_pb2.Route(name="cheap")]
        )


class Finder(retrieval_pb2_grpc.RetrievalServiceServicer):
    async def Search(
        self, request: retrieval_pb2.SearchRequest, context: Context
    ) -> retrieval_pb2.SearchResponse:
        chunk = retrieval_pb2.Chunk(text=request.query)
        return retrieval_pb2.SearchResponse(hits=[retrieval_pb2.SearchHit(chunk=chunk)])


@pytest.fixture
def talks() -> Talks:
    return Talks()  # type: ignore[abstract]  # the other methods are never called


@pytest.fixture(params=["blocking", "asyncio"])
async def client(request: pytest.FixtureRequest, talks: Talks) -> AsyncIterator[Either]:
    def add(server: grpc.aio.Server) -> None:
        conversations_pb2_grpc.add_ConversationServiceServicer_to_server(talks, server)
        models_pb2_grpc.add_ModelServiceServicer_to_server(
            Writers(),  # type: ignore[abstract]  # the other methods are never called
            server,
        )
        retrieval_pb2_grpc.add_RetrievalServiceServicer_to_server(
            Finder(),  # type: ignore[abstract]  # the other methods are never called
            server,
        )

    server, address = await open_server(add)
    yield Either(request.param, address)
    await server.stop(None)


async def test_a_list_goes_through_all_its_pages(client: Either) -> None:
    listed = await client(lambda c: c.conversations.list())
    assert [talk.name for talk in listed] == [f"conversations/{i}" for i in range(7)]


async def test_what_may_be_repeated_is_repeated_with_its_id(client: Either, talks: Talks) -> None:
    made = await client(lambda c: c.conversations.create("Ids", {"team": "support"}))
    assert (made.title, dict(made.labels)) == ("Ids", {"team": "support"})
    first, second = talks.requests
    assert first.request_id == second.request_id != ""


async def test_an_update_changes_what_is_given(client: Either, talks: Talks) -> None:
    await client(lambda c: c.conversations.update("c1", title="New", etag="e"))
    [request] = talks.requests
    assert request.conversation.name == "conversations/c1"
    assert request.conversation.etag == "e"
    assert list(request.update_mask.paths) == ["title"]


async def test_an_export_is_put_together(client: Either) -> None:
    export = await client(lambda c: c.conversations.export("c1"))
    assert export.conversation.name == "conversations/c1"
    assert [message.name for message in export.messages] == ["m1", "m2"]


async def test_a_completion_in_pieces(client: Either) -> None:
    pieces = await client(lambda c: c.models.stream("Say yes.", seed=1))
    assert "".join(piece.text for piece in pieces) == "Yes, sir."


async def test_a_completion_that_is_cut_short_is_an_error(client: Either) -> None:
    with pytest.raises(Unavailable):
        await client(lambda c: c.models.stream("Say yes."))


async def test_models_and_tokens(client: Either) -> None:
    assert [model.name for model in await client(lambda c: c.models.list())] == ["smollm2"]
    assert [route.name for route in await client(lambda c: c.models.routes())] == ["cheap"]
    assert (await client(lambda c: c.models.count_tokens("one two"))).tokens == 2


async def test_a_search(client: Either) -> None:
    found = await client(lambda c: c.search("ids", limit=1))
    assert found.hits[0].chunk.text == "ids"
