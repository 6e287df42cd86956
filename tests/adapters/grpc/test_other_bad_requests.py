"""Requests of every other method that break a rule: the status and the path of the field."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from grpc import StatusCode

from colonnade.client.stubs import AsyncStubs
from colonnade.v1 import (
    chat_pb2,
    conversations_pb2,
    counting_pb2,
    embeddings_pb2,
    knowledge_pb2,
    models_pb2,
    retrieval_pb2,
)
from colonnade.v1.messages_pb2 import Message, Part, Role
from colonnade.v1.retrieval_pb2 import Filter
from fakes.rich_errors import refused
from fakes.served_node import ServedNode, user

UNKNOWN = 99
Case = tuple[str, Any, list[str]]
"""A method, its request, the fields at fault."""

CHAT: list[Case] = [
    ("GetTurn", chat_pb2.GetTurnRequest(), ["turn_id"]),
    ("GetTurn", chat_pb2.GetTurnRequest(turn_id="t", request_id="r"), ["turn_id"]),
    ("GetTurn", chat_pb2.GetTurnRequest(turn_id="t" * 65), ["turn_id"]),
    ("GetTurn", chat_pb2.GetTurnRequest(request_id="\x7f"), ["request_id"]),
    ("GetTurn", chat_pb2.GetTurnRequest(request_id="r" * 129), ["request_id"]),
    ("CancelChat", chat_pb2.CancelChatRequest(), ["turn_id"]),
    ("ResumeChat", chat_pb2.ResumeChatRequest(), ["turn_id"]),
]


def conversation(**fields: Any) -> conversations_pb2.Conversation:
    return conversations_pb2.Conversation(**fields)


def create(**fields: Any) -> conversations_pb2.CreateConversationRequest:
    return conversations_pb2.CreateConversationRequest(conversation=conversation(**fields))


CONVERSATIONS: list[Case] = [
    ("CreateConversation", create(title="t" * 201), ["conversation.title"]),
    ("CreateConversation", create(labels={"a b": ""}), ["conversation.labels.a b"]),
    ("CreateConversation", create(labels={"a": "b" * 257}), ["conversation.labels.a"]),
    (
        "CreateConversation",
        create(labels={f"a{number}": "" for number in range(33)}),
        ["conversation.labels"],
    ),
    (
        "CreateConversation",
        conversations_pb2.CreateConversationRequest(request_id="a\n"),
        ["request_id"],
    ),
    ("GetConversation", conversations_pb2.GetConversationRequest(), ["name"]),
    ("GetConversation", conversations_pb2.GetConversationRequest(name="conversations/"), ["name"]),
    ("DeleteConversation", conversations_pb2.DeleteConversationRequest(name="c"), ["name"]),
    ("ExportConversation", conversations_pb2.ExportConversationRequest(name="c"), ["name"]),
    (
        "UpdateConversation",
        conversations_pb2.UpdateConversationRequest(
            conversation=conversation(name="x", title="t" * 201),
            update_mask=FieldMask(paths=["etag"]),
        ),
        ["conversation.name", "update_mask", "conversation.title"],
    ),
    ("ListMessages", conversations_pb2.ListMessagesRequest(parent="c"), ["parent"]),
    (
        "ListMessages",
        conversations_pb2.ListMessagesRequest(
            parent="conversations/a", leaf_message="conversations/b/messages/m"
        ),
        ["leaf_message"],
    ),
    (
        "ListMessages",
        conversations_pb2.ListMessagesRequest(
            parent="conversations/a", leaf_message="conversations/a/messages/m", all_branches=True
        ),
        ["leaf_message"],
    ),
]

KNOWLEDGE: list[Case] = [
    (
        "CreateCollection",
        knowledge_pb2.CreateCollectionRequest(
            collection_id="Docs",
            collection=knowledge_pb2.Collection(description="d" * 2001, embedder="e" * 201),
        ),
        ["collection_id", "collection.description", "collection.embedder"],
    ),
    (
        "CreateCollection",
        knowledge_pb2.CreateCollectionRequest(collection_id="a" * 65),
        ["collection_id"],
    ),
    ("GetCollection", knowledge_pb2.GetCollectionRequest(name="docs"), ["name"]),
    ("DeleteCollection", knowledge_pb2.DeleteCollectionRequest(name="collections/-"), ["name"]),
    ("Reindex", knowledge_pb2.ReindexRequest(name=""), ["name"]),
    ("GetDocument", knowledge_pb2.GetDocumentRequest(name="collections/a"), ["name"]),
    (
        "DeleteDocument",
        knowledge_pb2.DeleteDocumentRequest(name="collections/a/documents/../b"),
        ["name"],
    ),
    ("ListDocuments", knowledge_pb2.ListDocumentsRequest(parent="a"), ["parent"]),
]


def generate(**fields: Any) -> models_pb2.GenerateRequest:
    return models_pb2.GenerateRequest(**{"messages": [user("Hi")], **fields})


ANSWER = Message(role=Role.ROLE_ASSISTANT, parts=[Part(text="Yes.")])
SYSTEM = Message(role=Role.ROLE_SYSTEM, parts=[Part(text="Obey.")])

MODELS: list[Case] = [
    ("Generate", generate(messages=[]), ["messages"]),
    ("Generate", generate(messages=[user("Hi")] * 101), ["messages"]),
    ("Generate", generate(messages=[user("Hi"), ANSWER]), ["messages"]),
    ("Generate", generate(messages=[user("Hi"), SYSTEM, user("Ho")]), ["messages[1].role"]),
    ("Generate", generate(messages=[user("")]), ["messages[0].parts"]),
    ("Generate", generate(request_id="ü"), ["request_id"]),
    ("Generate", generate(model="m" * 201, feature="f" * 201), ["model", "feature"]),
    ("StreamGenerate", generate(messages=[]), ["messages"]),
    ("Embed", embeddings_pb2.EmbedRequest(), ["texts"]),
    ("Embed", embeddings_pb2.EmbedRequest(texts=["a"] * 257), ["texts"]),
    (
        "Embed",
        embeddings_pb2.EmbedRequest(texts=["", "a", "b" * 32_001], model="m" * 201),
        ["texts[0]", "texts[2]", "model"],
    ),
    ("Embed", embeddings_pb2.EmbedRequest(texts=["a"], purpose=UNKNOWN), ["purpose"]),  # type: ignore[arg-type]
    ("CountTokens", counting_pb2.CountTokensRequest(), ["text"]),
    ("CountTokens", counting_pb2.CountTokensRequest(text="a", messages=[user("a")]), ["text"]),
    ("CountTokens", counting_pb2.CountTokensRequest(text="a" * 200_001), ["text"]),
    ("CountTokens", counting_pb2.CountTokensRequest(text="a", model="m" * 201), ["model"]),
    ("CountTokens", counting_pb2.CountTokensRequest(messages=[Message()]), ["messages[0].parts"]),
]

SEARCHES: list[tuple[dict[str, Any], list[str]]] = [
    ({}, ["query"]),
    ({"query": " \n"}, ["query"]),
    ({"query": "q" * 10_001}, ["query"]),
    ({"query": "q", "limit": 101}, ["limit"]),
    ({"query": "q", "limit": -1}, ["limit"]),
    ({"query": "q", "collections": ["c"]}, ["collections[0]"]),
    ({"query": "q", "collections": ["collections/c"] * 2}, ["collections"]),
    ({"query": "q", "collections": [f"collections/c{n}" for n in range(21)]}, ["collections"]),
    ({"query": "q", "at_least_position": 1}, ["at_least_position"]),
    (
        {"query": "q", "filter": Filter(conditions=[Filter.Condition()])},
        ["filter.conditions[0].attribute", "filter.conditions[0].values"],
    ),
]
RETRIEVAL: list[Case] = [
    *(("Search", retrieval_pb2.SearchRequest(**f), at) for f, at in SEARCHES),
    *(("BuildContext", retrieval_pb2.BuildContextRequest(**f), at) for f, at in SEARCHES),
    ("Search", retrieval_pb2.SearchRequest(query="q", strategy=UNKNOWN), ["strategy"]),  # type: ignore[arg-type]
    (
        "BuildContext",
        retrieval_pb2.BuildContextRequest(query="q", max_tokens=-1, model="m" * 201),
        ["max_tokens", "model"],
    ),
    (
        "BuildContext",
        retrieval_pb2.BuildContextRequest(query="q", max_tokens=2**21),
        ["max_tokens"],
    ),
]


@pytest.mark.parametrize(
    ("service", "cases"),
    [
        (lambda stubs: stubs.chat, CHAT),
        (lambda stubs: stubs.conversations, CONVERSATIONS),
        (lambda stubs: stubs.knowledge, KNOWLEDGE),
        (lambda stubs: stubs.models, MODELS),
        (lambda stubs: stubs.retrieval, RETRIEVAL),
    ],
    ids=["chat", "conversations", "knowledge", "models", "retrieval"],
)
async def test_each_wrong_field_is_named(
    node: ServedNode, service: Callable[[AsyncStubs], object], cases: list[Case]
) -> None:
    for method, request, fields in cases:
        call = getattr(service(node.stubs), method)(request, metadata=node.key())
        refusal = await refused(call)
        assert (refusal.code, refusal.reason, refusal.fields) == (
            StatusCode.INVALID_ARGUMENT,
            "INVALID_FIELD",
            fields,
        ), (method, request)
