"""Whatever is sent, the answer is an answer or says what is wrong; it is never a bug's.

Requests are drawn from the contract itself: any field may be set, to values that are likely to
hurt. The draws are seeded.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from typing import Any

import pytest
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc import StatusCode, aio

from colonnade.v1.counting_pb2 import CountTokensRequest
from colonnade.v1.embeddings_pb2 import EmbedRequest
from colonnade.v1.knowledge_pb2 import (
    CreateCollectionRequest,
    GetCollectionRequest,
    ListDocumentsRequest,
)
from colonnade.v1.models_pb2 import GenerateRequest
from colonnade.v1.retrieval_pb2 import BuildContextRequest, SearchRequest
from colonnaded.container import SERVICES
from core.principal import BY_NAME_ONLY, EVERY_SCOPE
from fakes.language_model import words
from fakes.rich_errors import refused
from fakes.served_node import Metadata, ServedNode, ask, pieces, served_node, user

METHODS = [method for service in SERVICES for method in service.methods]
TEXTS = [
    "",
    " ",
    "a",
    "Hi?",
    "\x00",
    "\n",
    "好👋🏽",
    "e\u0301\u202e",
    "\ufeff",
    "%s%n{0}",
    "'; DROP TABLE turn; --",
    "../../etc/passwd",
    "conversations/a",
    "conversations/a/messages/root",
    "collections/docs",
    "collections/docs/documents/none",
    "docs",
    "strong",
    "chat",
    "1e999",
    "-1",
    "0.5",
    "x" * 129,
    "x" * 20_001,
    "[" * 2000,
    '{"type": "object"}',
    "https://example.org/a.png",
    "image/png",
    "W10",
]
NUMBERS = [0, 1, -1, 2, 99, 2**31 - 1, -(2**31), 2**53]
LARGE = [*NUMBERS, 2**63 - 1, -(2**63)]
FLOATS = [0.0, 0.5, 1.0, -1.0, 1e308, float("nan"), float("inf")]
NEVER = {StatusCode.INTERNAL, StatusCode.UNKNOWN}
ROUNDS = 120

DOCS = ["collections/docs"]
SOUND: dict[str, Message] = {
    "Chat": ask(),
    "StreamChat": ask("When does the gate close?", collections=DOCS),
    "CreateCollection": CreateCollectionRequest(collection_id="more"),
    "GetCollection": GetCollectionRequest(name=DOCS[0]),
    "ListDocuments": ListDocumentsRequest(parent=DOCS[0]),
    "IngestDocuments": next(pieces("docs", {})),
    "Generate": GenerateRequest(messages=[user("Hi?")]),
    "StreamGenerate": GenerateRequest(messages=[user("Hi?")]),
    "Embed": EmbedRequest(texts=["Hi?"]),
    "CountTokens": CountTokensRequest(text="Hi?"),
    "Search": SearchRequest(query="gate", collections=DOCS),
    "BuildContext": BuildContextRequest(query="gate", collections=DOCS),
}
"""What a method answers well; most draws begin with it and change little."""


def scalar(field: Any, draw: random.Random) -> object:
    match field.cpp_type:
        case FieldDescriptor.CPPTYPE_STRING:
            text = draw.choice(TEXTS)
            return text.encode() if field.type == FieldDescriptor.TYPE_BYTES else text
        case FieldDescriptor.CPPTYPE_BOOL:
            return draw.random() < 0.5
        case FieldDescriptor.CPPTYPE_ENUM:
            return draw.choice([0, 1, 2, 3, 99])
        case FieldDescriptor.CPPTYPE_DOUBLE | FieldDescriptor.CPPTYPE_FLOAT:
            return draw.choice(FLOATS)
        case FieldDescriptor.CPPTYPE_UINT64:
            return abs(draw.choice(LARGE)) % 2**64
        case FieldDescriptor.CPPTYPE_INT64:
            return draw.choice(LARGE)
        case _:
            return draw.choice(NUMBERS[:-1])


def drawn(message: Message, draw: random.Random, share: float, depth: int = 0) -> Message:
    """The message with a share of its fields set anew, and of those of the messages in it."""
    for field in message.DESCRIPTOR.fields:
        if draw.random() > share or depth > 5:
            continue
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            value_type = field.message_type.fields_by_name["value"]
            for _ in range(draw.randrange(3)):
                getattr(message, field.name)[draw.choice(TEXTS)] = scalar(value_type, draw)
        elif field.is_repeated:
            values = getattr(message, field.name)
            for _ in range(draw.choice([0, 1, 2, 3])):
                if field.message_type is not None:
                    drawn(values.add(), draw, share, depth + 1)
                else:
                    values.append(scalar(field, draw))
        elif field.message_type is not None:
            inner = getattr(message, field.name)
            inner.SetInParent()
            drawn(inner, draw, share, depth + 1)
        else:
            setattr(message, field.name, scalar(field, draw))
    return message


def call(channel: aio.Channel, method: MethodDescriptor, data: list[bytes], key: Metadata) -> Any:
    """The method with these bytes for its messages."""
    path = f"/{method.containing_service.full_name}/{method.name}"
    kind = ("stream" if method.client_streaming else "unary") + (
        "_stream" if method.server_streaming else "_unary"
    )
    sent = iter(data) if method.client_streaming else data[0]
    return getattr(channel, kind)(path)(sent, metadata=key, timeout=10)


async def ended(answer: Any) -> StatusCode:
    try:
        if hasattr(answer, "__aiter__"):
            async for _ in answer:
                pass
        else:
            await answer
    except aio.AioRpcError as error:
        return error.code()
    return StatusCode.OK


def requests(method: MethodDescriptor, draw: random.Random) -> Iterator[list[bytes]]:
    kind = GetMessageClass(method.input_type)
    for _ in range(ROUNDS):
        count = draw.randrange(1, 5) if method.client_streaming else 1
        messages = [kind() for _ in range(count)]
        if method.name in SOUND and draw.random() < 0.8:
            messages[0].CopyFrom(SOUND[method.name])
        share = draw.choice([0.05, 0.1, 0.5])
        yield [drawn(message, draw, share).SerializeToString() for message in messages]


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
async def test_no_request_meets_a_bug(service: Any) -> None:
    async with served_node(words("Hello there.")) as node:
        await node.ingest(pieces("docs", {"a.md": b"The gate closes at nine."}))
        await node.stubs.chat.Chat(ask(request_id="a"), metadata=node.key())
        for method in service.methods:
            draw = random.Random(method.full_name)
            sent = list(requests(method, draw))
            codes = await asyncio.gather(
                *(ended(call(node.channel, method, data, node.key())) for data in sent)
            )
            for data, code in zip(sent, codes, strict=True):
                assert code not in NEVER, (method.full_name, data)


@pytest.mark.parametrize("garbage", [b"\xff\xff\xff\xff", b"\x0a\x7fcut off"], ids=repr)
async def test_what_is_no_message_is_refused(node: ServedNode, garbage: bytes) -> None:
    key = await node.add_key("ck_everything", EVERY_SCOPE, *BY_NAME_ONLY)
    for method in METHODS:
        refusal = await refused(call(node.channel, method, [garbage], key))
        assert refusal.code is StatusCode.INVALID_ARGUMENT, method.full_name
        assert (refusal.reason, refusal.fields) == ("INVALID_FIELD", ["request"])
        assert (await node.line(refusal.call_id))["status"] == "INVALID_ARGUMENT"


async def test_nobodys_message_is_read_before_they_are_let_in(node: ServedNode) -> None:
    for method in METHODS:
        refusal = await refused(call(node.channel, method, [b"\xff"], ()))
        assert refusal.reason == "CREDENTIALS_MISSING"
