"""What a chat request must keep, and what it means where it leaves things open."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from core.canonical import digest
from core.chat import ChatRequest, Grounding, Mode, PromptChoice
from core.chat_rules import check_request
from core.errors import FeatureUnsupported, InvalidInput
from core.generation import GenerationOptions
from core.identifiers import CollectionName, ConversationId, MessageId, RequestId, Seconds
from core.knowledge import Filter
from core.messages import ImagePart, Message, Role

DOCS = (CollectionName("docs"),)
TALK = ConversationId("talk")
HISTORY = (Message.of(Role.USER, "before"),)


def a_request(text: str = "Hi", role: Role = Role.USER, **fields: Any) -> ChatRequest:
    return ChatRequest(message=Message.of(role, text), **fields)


@pytest.mark.parametrize(
    "request_",
    [
        a_request(),
        a_request(request_id=RequestId("6f1c-~!")),
        a_request(conversation=TALK, parent_message=MessageId("m")),
        a_request(messages=(Message.of(Role.SYSTEM, "Be kind."), *HISTORY)),
        a_request(collections=DOCS),
        a_request(mode=Mode.RAG, grounding=Grounding.FINAL),
        a_request(mode=Mode.RAG, filter=Filter({"lang": frozenset({"en"})})),
        a_request(grounding=Grounding.OFF),
    ],
)
def test_what_is_right_passes(request_: ChatRequest) -> None:
    check_request(request_)


@pytest.mark.parametrize(
    ("request_", "fields"),
    [
        (a_request(""), ["message.parts"]),
        (a_request(" \n\t"), ["message.parts"]),
        (a_request(role=Role.ASSISTANT), ["message.role"]),
        (a_request(conversation=TALK, messages=HISTORY), ["messages"]),
        (a_request(parent_message=MessageId("m")), ["parent_message"]),
        (a_request(messages=(*HISTORY, Message.of(Role.SYSTEM, "x"))), ["messages[1].role"]),
        (a_request(collections=(*DOCS, *DOCS)), ["collections"]),
        (a_request(mode=Mode.CHAT, collections=DOCS), ["collections"]),
        (a_request(filter=Filter({"lang": frozenset({"en"})})), ["filter"]),
        (a_request(grounding=Grounding.SENTENCE), ["grounding"]),
        (a_request(request_id=RequestId("a b")), ["request_id"]),
        (a_request(request_id=RequestId("é")), ["request_id"]),
        (
            a_request("", Role.TOOL, grounding=Grounding.FINAL),
            ["message.role", "message.parts", "grounding"],
        ),
    ],
)
def test_what_is_wrong_is_told_all_at_once(request_: ChatRequest, fields: list[str]) -> None:
    with pytest.raises(InvalidInput) as wrong:
        check_request(request_)
    assert [violation.field for violation in wrong.value.violations] == fields


def test_a_picture_without_words_asks_nothing() -> None:
    picture = Message(Role.USER, (ImagePart("file:///a.png", "image/png"),))
    with pytest.raises(InvalidInput):
        check_request(ChatRequest(message=picture))


def test_tools_are_not_there_yet() -> None:
    with pytest.raises(FeatureUnsupported) as refused:
        check_request(a_request(mode=Mode.TOOLS))
    assert refused.value.metadata == {"feature": "tools"}


@pytest.mark.parametrize(
    ("fields", "mode", "grounding"),
    [
        ({}, Mode.CHAT, Grounding.OFF),
        ({"collections": DOCS}, Mode.RAG, Grounding.SENTENCE),
        ({"mode": Mode.RAG}, Mode.RAG, Grounding.SENTENCE),
        ({"mode": Mode.RAG, "grounding": Grounding.OFF}, Mode.RAG, Grounding.OFF),
        ({"collections": DOCS, "grounding": Grounding.FINAL}, Mode.RAG, Grounding.FINAL),
        ({"mode": Mode.CHAT}, Mode.CHAT, Grounding.OFF),
    ],
)
def test_what_is_left_open_has_a_meaning(
    fields: dict[str, Any], mode: Mode, grounding: Grounding
) -> None:
    request = a_request(**fields)
    assert (request.effective_mode, request.effective_grounding) == (mode, grounding)
    assert request.grounded_in_documents == (mode is Mode.RAG)


@pytest.mark.parametrize(
    "fields",
    [
        {"linger": Seconds(61)},
        {"linger": Seconds(-1)},
        {"turn_timeout": Seconds(0)},
        {"request_id": RequestId("x" * 129)},
        {"collections": tuple(CollectionName(f"c{n}") for n in range(21))},
        {"messages": HISTORY * 101},
        {"feature": "x" * 201},
    ],
)
def test_the_types_have_bounds(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        a_request(**fields)


SENT_TWICE = a_request(
    request_id=RequestId("r1"), detach=True, linger=Seconds(1), turn_timeout=Seconds(9)
)


def test_the_digest_covers_content_and_nothing_else() -> None:
    assert digest(SENT_TWICE.content()) == digest(a_request().content())


@pytest.mark.parametrize(
    "fields",
    [
        {"text": "Ho"},
        {"conversation": TALK},
        {"messages": HISTORY},
        {"mode": Mode.CHAT},
        {"collections": DOCS},
        {"filter": Filter({"lang": frozenset({"en"})})},
        {"model": "m"},
        {"prompt": PromptChoice("chat", {"domain": "lifts"})},
        {"options": GenerationOptions(temperature=0.0)},
        {"grounding": Grounding.OFF},
        {"feature": "f"},
        {"accept_retractions": True},
        {"language": "en"},
    ],
)
def test_other_content_has_another_digest(fields: dict[str, Any]) -> None:
    assert digest(a_request(**fields).content()) != digest(a_request().content())
