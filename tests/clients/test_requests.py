"""What callers write, and the requests that it becomes."""

from __future__ import annotations

import pytest

from colonnade.client.chat_requests import chat_request
from colonnade.client.model_requests import count_request, generate_request, search_request
from colonnade.client.tools import tool, tool_calls, tool_results
from colonnade.v1.chat_pb2 import CHAT_MODE_RAG, GROUNDING_FINAL, ChatRequest
from colonnade.v1.messages_pb2 import ROLE_USER, Message, Part, ToolCall
from colonnade.v1.retrieval_pb2 import SEARCH_STRATEGY_KEYWORD, Filter
from colonnade.v1.tokens_pb2 import REASONING_EFFORT_LOW
from colonnade.v1.tools_pb2 import TOOL_CHOICE_ONE, TOOL_CHOICE_REQUIRED


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


def test_a_completion_with_tools() -> None:
    clock = tool("clock", "Tells the time.", {"type": "object"}, strict=True)
    request = generate_request(
        "What time is it?",
        {
            "tools": [clock, tool("map")],
            "chosen_tool": "clock",
            "parallel_tool_calls": False,
            "logprobs": 0,
            "reasoning_effort": "low",
        },
    )
    assert [t.name for t in request.tools] == ["clock", "map"]
    assert (clock.parameters_schema, clock.strict) == ('{"type": "object"}', True)
    options = request.options
    assert (options.tool_choice, options.chosen_tool) == (TOOL_CHOICE_ONE, "clock")
    assert options.HasField("parallel_tool_calls")
    assert options.HasField("logprobs")
    assert options.reasoning_effort == REASONING_EFFORT_LOW
    required = generate_request("Hi", {"tools": [clock], "tool_choice": "required"})
    assert required.options.tool_choice == TOOL_CHOICE_REQUIRED


def test_results_answer_the_calls() -> None:
    calls = [ToolCall(call_id="c1", tool="clock"), ToolCall(call_id="c2", tool="map")]
    answer = Message(parts=[Part(text="I look."), *(Part(tool_call=call) for call in calls)])
    first, second = tool_calls(answer)
    message = tool_results((first, {"time": "12:00"}), (second, ValueError("no map")))
    told = [part.tool_result for part in message.parts]
    assert [(r.call_id, r.content, r.failed) for r in told] == [
        ("c1", '{"time": "12:00"}', False),
        ("c2", "no map", True),
    ]


def test_what_is_counted() -> None:
    request = count_request("Hi", "m", [tool("clock")], {"type": "object"})
    assert (request.text, request.model) == ("Hi", "m")
    assert (request.tools[0].name, request.response_schema) == ("clock", '{"type": "object"}')
    assert count_request([answer_message()], "", (), "").messages[0].parts[0].text == "Yes."


def answer_message() -> Message:
    return Message(parts=[Part(text="Yes.")])
