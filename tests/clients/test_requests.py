"""What callers write, and the requests that it becomes."""

from __future__ import annotations

import pytest

from colonnade.client.chat_requests import chat_request
from colonnade.client.model_requests import generate_request, search_request
from colonnade.v1.chat_pb2 import CHAT_MODE_RAG, GROUNDING_FINAL, ChatRequest
from colonnade.v1.messages_pb2 import ROLE_USER, Message, Part
from colonnade.v1.retrieval_pb2 import SEARCH_STRATEGY_KEYWORD, Filter


def test_a_plain_question() -> None:
    request = chat_request("How long?", {})
    assert request.message == Message(role=ROLE_USER, parts=[Part(text="How long?")])
    assert request.request_id
    assert request.request_id != chat_request("How long?", {}).request_id
    assert request.linger.seconds == 10
    expected = ChatRequest(
        request_id=request.request_id, message=request.message, linger=request.linger
    )
    assert request == expected


def test_everything_that_a_question_may_come_with() -> None:
    request = chat_request(
        Message(role=ROLE_USER, parts=[Part(text="Wie lange?")]),
        {
            "conversation": "c1",
            "parent_message": "root",
            "mode": "rag",
            "collections": ["default", "collections/more"],
            "where": {"team": "support", "year": ["2025", "2026"]},
            "model": "cheap",
            "prompt": "grounded",
            "inputs": {"tone": "dry"},
            "temperature": 0.0,
            "stop": ["\n"],
            "response_schema": {"type": "object"},
            "grounding": "final",
            "feature": "help-desk",
            "linger": 0.5,
            "accept_retractions": True,
            "language": "de",
            "request_id": "r-1",
        },
    )
    assert (request.conversation, request.request_id) == ("conversations/c1", "r-1")
    assert request.parent_message == "conversations/c1/messages/root"
    assert request.mode == CHAT_MODE_RAG
    assert request.grounding == GROUNDING_FINAL
    assert list(request.collections) == ["collections/default", "collections/more"]
    assert request.filter == Filter(
        conditions=[
            Filter.Condition(attribute="team", values=["support"]),
            Filter.Condition(attribute="year", values=["2025", "2026"]),
        ]
    )
    assert (request.prompt.prompt, dict(request.prompt.inputs)) == ("grounded", {"tone": "dry"})
    assert request.options.HasField("temperature")
    assert not request.options.HasField("top_p")
    assert list(request.options.stop) == ["\n"]
    assert request.options.response_schema == '{"type": "object"}'
    assert (request.linger.seconds, request.linger.nanos) == (0, 500_000_000)


def test_a_detached_turn_needs_no_linger() -> None:
    request = chat_request("How long?", {"detach": True, "turn_timeout": 90.5})
    assert not request.HasField("linger")
    assert (request.turn_timeout.seconds, request.turn_timeout.nanos) == (90, 500_000_000)


def test_a_misspelt_argument_is_refused() -> None:
    with pytest.raises(TypeError, match="colections"):
        chat_request("How long?", {"colections": ["default"]})  # type: ignore[typeddict-unknown-key]  # the point of it
    with pytest.raises(ValueError, match="CHAT_MODE_RAGS"):
        chat_request("How long?", {"mode": "rags"})  # type: ignore[typeddict-item]  # the point of it


def test_a_search() -> None:
    request = search_request("ids", {"collections": ["a"], "limit": 3, "strategy": "keyword"})
    assert list(request.collections) == ["collections/a"]
    assert (request.limit, request.strategy) == (3, SEARCH_STRATEGY_KEYWORD)


def test_a_completion() -> None:
    request = generate_request("Say yes.", {"max_output_tokens": 3})
    assert request.messages[0].parts[0].text == "Say yes."
    assert request.options.max_output_tokens == 3
    assert request.request_id
