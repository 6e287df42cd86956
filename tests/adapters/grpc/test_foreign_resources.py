"""What belongs to somebody else does not exist: told in the same words as what never did."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import pytest
from grpc import StatusCode

from colonnade.v1 import chat_pb2, conversations_pb2, knowledge_pb2, retrieval_pb2
from fakes.rich_errors import Refusal, refused
from fakes.served_node import Metadata, ServedNode, ask, pieces, served_node

Asks = Callable[["Owned", str, Metadata], Any]
"""Makes a call about a resource by its name."""


@dataclass
class Owned:
    """A node in which Ann of Acme has one of everything."""

    node: ServedNode
    conversation: str
    message: str
    turn: str
    collection: str
    document: str


@pytest.fixture
async def owned() -> AsyncIterator[Owned]:
    async with served_node() as node:
        talk = await node.converse()
        request = ask(conversation=talk, request_id="asked")
        turn = await node.stubs.chat.Chat(request, metadata=node.key())
        kept = await node.ingest(pieces("docs", {"a.md": b"# A\n\nThe gate closes at nine."}))
        yield Owned(
            node,
            talk,
            turn.answer.name,
            turn.turn_id,
            "collections/docs",
            kept.results[0].document,
        )


TURNS: dict[str, Asks] = {
    "GetTurn": lambda o, name, key: o.node.stubs.chat.GetTurn(
        chat_pb2.GetTurnRequest(turn_id=name, include_events=True), metadata=key
    ),
    "CancelChat": lambda o, name, key: o.node.stubs.chat.CancelChat(
        chat_pb2.CancelChatRequest(turn_id=name), metadata=key
    ),
    "ResumeChat": lambda o, name, key: o.node.stubs.chat.ResumeChat(
        chat_pb2.ResumeChatRequest(turn_id=name), metadata=key
    ),
}
REQUESTS: dict[str, Asks] = {
    "GetTurn": lambda o, name, key: o.node.stubs.chat.GetTurn(
        chat_pb2.GetTurnRequest(request_id=name), metadata=key
    ),
    "CancelChat": lambda o, name, key: o.node.stubs.chat.CancelChat(
        chat_pb2.CancelChatRequest(request_id=name), metadata=key
    ),
}
CONVERSATIONS: dict[str, Asks] = {
    "StreamChat": lambda o, name, key: o.node.stubs.chat.StreamChat(
        ask(conversation=name), metadata=key
    ),
    "parent": lambda o, name, key: o.node.stubs.chat.Chat(
        ask(conversation=name, parent_message=f"{name}/messages/root"), metadata=key
    ),
    "Get": lambda o, name, key: o.node.stubs.conversations.GetConversation(
        conversations_pb2.GetConversationRequest(name=name), metadata=key
    ),
    "Update": lambda o, name, key: o.node.stubs.conversations.UpdateConversation(
        conversations_pb2.UpdateConversationRequest(
            conversation=conversations_pb2.Conversation(name=name, title="mine")
        ),
        metadata=key,
    ),
    "Delete": lambda o, name, key: o.node.stubs.conversations.DeleteConversation(
        conversations_pb2.DeleteConversationRequest(name=name), metadata=key
    ),
    "ListMessages": lambda o, name, key: o.node.stubs.conversations.ListMessages(
        conversations_pb2.ListMessagesRequest(parent=name), metadata=key
    ),
    "all branches": lambda o, name, key: o.node.stubs.conversations.ListMessages(
        conversations_pb2.ListMessagesRequest(parent=name, all_branches=True), metadata=key
    ),
    "Export": lambda o, name, key: o.node.stubs.conversations.ExportConversation(
        conversations_pb2.ExportConversationRequest(name=name), metadata=key
    ),
}
COLLECTIONS: dict[str, Asks] = {
    "StreamChat": lambda o, name, key: o.node.stubs.chat.StreamChat(
        ask(collections=[name]), metadata=key
    ),
    "Search": lambda o, name, key: o.node.stubs.retrieval.Search(
        retrieval_pb2.SearchRequest(query="gate", collections=[name]), metadata=key
    ),
    "BuildContext": lambda o, name, key: o.node.stubs.retrieval.BuildContext(
        retrieval_pb2.BuildContextRequest(query="gate", collections=[name]), metadata=key
    ),
    "Get": lambda o, name, key: o.node.stubs.knowledge.GetCollection(
        knowledge_pb2.GetCollectionRequest(name=name), metadata=key
    ),
    "Delete": lambda o, name, key: o.node.stubs.knowledge.DeleteCollection(
        knowledge_pb2.DeleteCollectionRequest(name=name), metadata=key
    ),
    "Reindex": lambda o, name, key: o.node.stubs.knowledge.Reindex(
        knowledge_pb2.ReindexRequest(name=name), metadata=key
    ),
    "ListDocuments": lambda o, name, key: o.node.stubs.knowledge.ListDocuments(
        knowledge_pb2.ListDocumentsRequest(parent=name), metadata=key
    ),
}
DOCUMENTS: dict[str, Asks] = {
    "Get": lambda o, name, key: o.node.stubs.knowledge.GetDocument(
        knowledge_pb2.GetDocumentRequest(name=name), metadata=key
    ),
    "Delete": lambda o, name, key: o.node.stubs.knowledge.DeleteDocument(
        knowledge_pb2.DeleteDocumentRequest(name=name), metadata=key
    ),
}


@dataclass(frozen=True)
class Words:
    """All that a refusal says, but for the ids of what was asked for and of the call."""

    code: StatusCode
    message: str
    about: dict[str, str]
    resource: tuple[str, str]

    @classmethod
    def of(cls, refusal: Refusal, asked_for: str) -> Words:
        def plain(text: str) -> str:
            for id in asked_for.split("/")[1::2] or [asked_for]:
                text = text.replace(id, "IT")
            return text

        about = {key: plain(value) for key, value in refusal.metadata.items() if key != "turn_id"}
        kind, name = refusal.resource
        return cls(refusal.code, plain(refusal.message), about, (kind, plain(name)))


async def check(owned: Owned, asks: dict[str, Asks], theirs: str, none: str, key: Metadata) -> None:
    for method, asked in asks.items():
        foreign = Words.of(await refused(asked(owned, theirs, key)), theirs)
        missing = Words.of(await refused(asked(owned, none, key)), none)
        assert foreign == missing, method
        assert foreign.code is StatusCode.NOT_FOUND, method
        assert foreign.resource == (foreign.about["kind"], foreign.about["name"]), method


@pytest.mark.parametrize("stranger", [("bob", "acme"), ("ann", "rival")], ids=str)
async def test_conversations_and_turns_are_a_users_own(
    owned: Owned, stranger: tuple[str, str]
) -> None:
    key = owned.node.key(*stranger)
    await check(owned, TURNS, owned.turn, "turn_none", key)
    await check(owned, REQUESTS, "asked", "never-asked", key)
    await check(owned, CONVERSATIONS, owned.conversation, "conversations/none", key)
    listed = await owned.node.stubs.conversations.ListConversations(
        conversations_pb2.ListConversationsRequest(), metadata=key
    )
    assert not listed.conversations
    mine = await owned.node.stubs.conversations.GetConversation(
        conversations_pb2.GetConversationRequest(name=owned.conversation), metadata=owned.node.key()
    )
    assert mine.title == ""


async def test_collections_and_documents_are_a_tenants_own(owned: Owned) -> None:
    key = owned.node.key("ann", "rival")
    await check(owned, COLLECTIONS, owned.collection, "collections/none", key)
    none = "collections/none/documents/none"
    for name in (owned.document, owned.document.replace("docs", "none")):
        await check(owned, DOCUMENTS, name, none, key)
    refusal = await refused(owned.node.ingest(list(pieces("docs", {}))[:0], key))
    assert refusal.fields == ["header"]
    mine = await owned.node.stubs.knowledge.GetCollection(
        knowledge_pb2.GetCollectionRequest(name=owned.collection), metadata=owned.node.key()
    )
    assert (mine.document_count, mine.chunk_count) == (1, 1)


async def test_a_colleague_shares_collections(owned: Owned) -> None:
    found = await owned.node.stubs.retrieval.Search(
        retrieval_pb2.SearchRequest(query="gate", collections=[owned.collection]),
        metadata=owned.node.key("bob"),
    )
    assert [hit.chunk.document for hit in found.hits] == [owned.document]


async def test_a_message_of_another_conversation_is_no_parent(owned: Owned) -> None:
    other = await owned.node.converse()
    foreign = f"{other}/messages/{owned.message.rpartition('/')[2]}"
    key = owned.node.key()
    for request in (
        owned.node.stubs.chat.Chat(
            ask(conversation=other, parent_message=foreign, request_id="r"), metadata=key
        ),
        owned.node.stubs.conversations.ListMessages(
            conversations_pb2.ListMessagesRequest(parent=other, leaf_message=foreign), metadata=key
        ),
    ):
        refusal = await refused(request)
        assert (refusal.code, refusal.resource[0]) == (StatusCode.NOT_FOUND, "message")


async def test_deleting_what_may_be_missing_tells_nothing_and_touches_nothing(
    owned: Owned,
) -> None:
    node = owned.node
    for key in (node.key("bob"), node.key("ann", "rival")):
        for name in (owned.conversation, "conversations/none"):
            await node.stubs.conversations.DeleteConversation(
                conversations_pb2.DeleteConversationRequest(name=name, allow_missing=True),
                metadata=key,
            )
    for name in (owned.document, "collections/none/documents/none"):
        await node.stubs.knowledge.DeleteDocument(
            knowledge_pb2.DeleteDocumentRequest(name=name, allow_missing=True),
            metadata=node.key("ann", "rival"),
        )
    await node.stubs.knowledge.DeleteCollection(
        knowledge_pb2.DeleteCollectionRequest(name=owned.collection, allow_missing=True),
        metadata=node.key("ann", "rival"),
    )
    for asks, name in (
        (CONVERSATIONS, owned.conversation),
        (COLLECTIONS, owned.collection),
        (DOCUMENTS, owned.document),
    ):
        await asks["Get"](owned, name, node.key())
