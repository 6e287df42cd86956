"""Tools, choices and results that fit together, and those that don't."""

from __future__ import annotations

from core.generation import GenerationOptions, ToolChoice, ToolDefinition
from core.messages import Message, Role, ToolCallPart, ToolResultPart
from core.tool_rules import tool_violations

CLOCK, MAP = ToolDefinition("clock"), ToolDefinition("map")
PLAIN = GenerationOptions()


def fields(options: GenerationOptions = PLAIN, *messages: Message) -> list[str]:
    return [violation.field for violation in tool_violations(options, messages)]


def calling(*ids: str) -> Message:
    return Message(Role.ASSISTANT, tuple(ToolCallPart(id, "clock", "{}") for id in ids))


def answering(*ids: str) -> Message:
    return Message(Role.TOOL, tuple(ToolResultPart(id, "12:00") for id in ids))


def test_what_fits_together() -> None:
    both = GenerationOptions(
        tools=(CLOCK, MAP), tool_choice=ToolChoice.ONE, chosen_tool="map", parallel_tool_calls=False
    )
    assert fields(both, calling("a", "b"), answering("b", "a")) == []
    assert fields() == []


def test_an_id_may_be_used_again_once_it_has_its_result() -> None:
    rounds = (calling("a"), answering("a"), calling("a"), answering("a"))
    assert fields(PLAIN, *rounds) == []


def test_a_demand_without_tools() -> None:
    for choice in (ToolChoice.REQUIRED, ToolChoice.ONE):
        assert fields(GenerationOptions(tool_choice=choice)) == ["options.tool_choice"]
    assert fields(GenerationOptions(tool_choice=ToolChoice.NONE)) == []


def test_results_out_of_place() -> None:
    assert fields(PLAIN, answering("a"), calling("a")) == [
        "messages[0].parts[0].tool_result.call_id"
    ]
    assert fields(PLAIN, calling("a"), answering("a", "a")) == [
        "messages[1].parts[1].tool_result.call_id"
    ]
