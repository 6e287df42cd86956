"""Lists, page by page: sizes, tokens, and tokens that are none."""

from __future__ import annotations

import base64
import json
from typing import Any

from grpc import StatusCode

from colonnade.v1 import conversations_pb2, knowledge_pb2, models_pb2
from fakes.language_model import script
from fakes.rich_errors import refused
from fakes.served_node import ServedNode, served_node


def token(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()


MALFORMED = {
    "not base64": "%%%",
    "not ASCII": "é",
    "not JSON": base64.urlsafe_b64encode(b"{").decode(),
    "not a pair": token(["a"]),
    "not texts": token([1, 2]),
    "lists": token([["a"], ["b"]]),
    "half a character": token(["\ud800", "a"]),
    "deep": base64.urlsafe_b64encode(b"[" * 3000).decode(),
    "huge": "a" * 1_000_000,
}
OF_ANOTHER_LIST = token(["docs", "docs"])
COLLECTION, CONVERSATION = "collections/c", "conversations/c"


def conversations(node: ServedNode, size: int, token: str) -> Any:
    request = conversations_pb2.ListConversationsRequest(page_size=size, page_token=token)
    return node.stubs.conversations.ListConversations(request, metadata=node.key())


def branch(node: ServedNode, size: int, token: str) -> Any:
    request = conversations_pb2.ListMessagesRequest(
        parent=CONVERSATION, page_size=size, page_token=token
    )
    return node.stubs.conversations.ListMessages(request, metadata=node.key())


def messages(node: ServedNode, size: int, token: str) -> Any:
    request = conversations_pb2.ListMessagesRequest(
        parent=CONVERSATION, page_size=size, page_token=token, all_branches=True
    )
    return node.stubs.conversations.ListMessages(request, metadata=node.key())


def collections(node: ServedNode, size: int, token: str) -> Any:
    request = knowledge_pb2.ListCollectionsRequest(page_size=size, page_token=token)
    return node.stubs.knowledge.ListCollections(request, metadata=node.key())


def documents(node: ServedNode, size: int, token: str) -> Any:
    request = knowledge_pb2.ListDocumentsRequest(
        parent=COLLECTION, page_size=size, page_token=token
    )
    return node.stubs.knowledge.ListDocuments(request, metadata=node.key())


def models(node: ServedNode, size: int, token: str) -> Any:
    request = models_pb2.ListModelsRequest(page_size=size, page_token=token)
    return node.stubs.models.ListModels(request, metadata=node.key())


LISTS = [conversations, branch, messages, collections, documents, models]


async def test_a_malformed_token_and_a_negative_size_are_refused(node: ServedNode) -> None:
    for listed in LISTS:
        for name, value in MALFORMED.items():
            refusal = await refused(listed(node, 0, value))
            assert (refusal.code, refusal.reason, refusal.fields) == (
                StatusCode.INVALID_ARGUMENT,
                "INVALID_FIELD",
                ["page_token"],
            ), (listed.__name__, name)
        refusal = await refused(listed(node, -1, ""))
        assert (refusal.reason, refusal.fields) == ("INVALID_FIELD", ["page_size"])


async def test_a_token_of_another_list_is_refused(node: ServedNode) -> None:
    name = await node.converse("one")
    requests: list[Any] = [conversations(node, 0, OF_ANOTHER_LIST)]
    for every in (False, True):
        wanted = conversations_pb2.ListMessagesRequest(
            parent=name, page_token=OF_ANOTHER_LIST, all_branches=every
        )
        requests.append(node.stubs.conversations.ListMessages(wanted, metadata=node.key()))
    for request in requests:
        refusal = await refused(request)
        assert (refusal.reason, refusal.fields) == ("INVALID_FIELD", ["page_token"])


async def test_pages_put_together_are_the_list(node: ServedNode) -> None:
    name = await node.converse("one", "two")
    for number in range(4):
        await node.stubs.knowledge.CreateCollection(
            knowledge_pb2.CreateCollectionRequest(collection_id=f"c{number}"), metadata=node.key()
        )
        await node.converse()
    stub = node.stubs.conversations.ListMessages
    for every in (False, True):
        found, after = [], ""
        while True:
            request = conversations_pb2.ListMessagesRequest(
                parent=name, page_size=3, page_token=after, all_branches=every
            )
            page = await stub(request, metadata=node.key())
            found += [message.parts[0].text for message in page.messages]
            if not (after := page.next_page_token):
                break
        assert found == ["one", "Hello.", "two", "Hello."]
    first = await collections(node, 3, "")
    rest = await collections(node, 3, first.next_page_token)
    names = [item.name for item in (*first.collections, *rest.collections)]
    assert names == [f"collections/c{number}" for number in range(4)]
    assert rest.next_page_token == ""
    assert len((await collections(node, 100_000, "")).collections) == 4  # the most is taken
    assert len((await conversations(node, 0, "")).conversations) == 5


async def test_a_page_of_long_messages_fits_into_a_message() -> None:
    """A client takes 4 MiB by default; what does not fit waits for the next page."""
    long = "好" * 199_999
    async with served_node(script("Long indeed.")) as node:
        name = await node.converse(*[long] * 6)
        sizes, after = [], ""
        while True:
            request = conversations_pb2.ListMessagesRequest(parent=name, page_token=after)
            page = await node.stubs.conversations.ListMessages(request, metadata=node.key())
            sizes.append(len(page.messages))
            if not (after := page.next_page_token):
                break
        assert sum(sizes) == 12
        assert len(sizes) > 1
        export = node.stubs.conversations.ExportConversation(
            conversations_pb2.ExportConversationRequest(name=name), metadata=node.key()
        )
        pieces = [piece async for piece in export]
        assert [piece.WhichOneof("item") for piece in pieces] == ["conversation"] + ["message"] * 12
