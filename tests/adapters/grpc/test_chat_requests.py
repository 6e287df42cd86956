"""Chat requests: only what is set is translated, and it comes to what the whole would come to."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration

from adapters.grpc import chat_requests
from colonnade.v1 import chat_pb2
from colonnade.v1.messages_pb2 import ROLE_ASSISTANT, ROLE_USER, Image, Message, Part
from colonnade.v1.models_pb2 import MODEL_TIER_SMALL, GenerationOptions, ModelConstraints
from colonnade.v1.retrieval_pb2 import Filter
from core.chat import ChatRequest
from core.errors import InvalidInput
from core.messages import Role, TextPart
from fakes.served_node import ask, user

TALK = "conversations/talk"
FULL: dict[str, Any] = {
    "request_id": "r1",
    "conversation": TALK,
    "parent_message": f"{TALK}/messages/m1",
    "messages": [user("Hi"), Message(role=ROLE_ASSISTANT, parts=[Part(text="Hello.")])],
    "mode": chat_pb2.CHAT_MODE_RAG,
    "collections": ["collections/docs"],
    "filter": Filter(conditions=[Filter.Condition(attribute="kind", values=["a", "b"])]),
    "model": "strong",
    "constraints": ModelConstraints(tier=MODEL_TIER_SMALL, labels=["eu"]),
    "prompt": chat_pb2.PromptReference(prompt="chat", inputs={"tone": "dry"}),
    "options": GenerationOptions(temperature=0.5, stop=["END"]),
    "grounding": chat_pb2.GROUNDING_FINAL,
    "feature": "search",
    "detach": True,
    "linger": Duration(seconds=2, nanos=500_000_000),
    "turn_timeout": Duration(seconds=30),
    "accept_retractions": True,
    "language": "de-CH",
}


def test_every_field_of_the_contract_is_translated() -> None:
    contract = {field.name for field in chat_pb2.ChatRequest.DESCRIPTOR.fields}
    assert contract == {field.name for field in fields(ChatRequest)}
    assert contract == {"message", *FULL}


@pytest.mark.parametrize("left_out", ["", *FULL])
def test_it_is_what_the_checked_constructor_makes(left_out: str) -> None:
    given = {name: value for name, value in FULL.items() if name != left_out}
    if left_out == "conversation":
        del given["parent_message"]
    made = chat_requests.request(ask("Hi?", **given))
    values = {field.name: getattr(made, field.name) for field in fields(made)}
    assert made == ChatRequest(**values)
    default = {field.name: field.default for field in fields(made)}
    for name, value in values.items():
        if name != "message":
            assert (value != default[name]) == (name in given), name


@pytest.mark.parametrize(
    ("field", "fits", "beyond"),
    [
        ("request_id", "x" * 128, "x" * 129),
        ("model", "x" * 200, "x" * 201),
        ("feature", "ü" * 200, "ü" * 201),
        ("language", "x" * 35, "x" * 36),
        ("collections", ["docs"] * 20, ["docs"] * 21),
        ("linger", Duration(), Duration(seconds=-1)),
        ("linger", Duration(seconds=60), Duration(seconds=60, nanos=1)),
        ("turn_timeout", Duration(nanos=1), Duration()),
        ("messages", [user("Hi")] * 100, [user("Hi")] * 101),
    ],
)
def test_what_is_too_much_is_refused(field: str, fits: Any, beyond: Any) -> None:
    if field == "collections":
        fits, beyond = ([f"collections/{name}" for name in names] for names in (fits, beyond))
    made = chat_requests.request(ask(**{field: fits}))
    assert made == ChatRequest(**{each.name: getattr(made, each.name) for each in fields(made)})
    with pytest.raises(InvalidInput) as refused:
        chat_requests.request(ask(**{field: beyond}))
    assert [violation.field for violation in refused.value.violations] == [field]


@pytest.mark.parametrize("text", ["Hi", " Hi\n", "x" * 200_000, "\u200b"])
@pytest.mark.parametrize("role", [ROLE_USER, 0])
def test_a_text_alone_is_taken_as_it_is(text: str, role: Any) -> None:
    said = Message(role=role, parts=[Part(text=text)])
    made = chat_requests.request(chat_pb2.ChatRequest(message=said))
    assert (made.message.role, made.message.parts) == (Role.USER, (TextPart(text),))


@pytest.mark.parametrize(
    ("parts", "field"),
    [
        ([], "message.parts"),
        ([Part()], "message.parts[0]"),
        ([Part(text="")], "message.parts"),
        ([Part(text=" \u2003\n")], "message.parts"),
        ([Part(text="x" * 200_001)], "message.parts[0].text"),
        ([Part(image=Image(uri="ftp://x", media_type="image/png"))], "message.parts[0].image.uri"),
    ],
)
def test_what_says_nothing_or_too_much_is_refused(parts: list[Part], field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        chat_requests.request(chat_pb2.ChatRequest(message=Message(parts=parts)))
    assert [violation.field for violation in refused.value.violations] == [field]
