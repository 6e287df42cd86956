"""Tools that a model may propose to call, and what comes of its calls."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict

from colonnade.v1.messages_pb2 import ROLE_TOOL, Message, Part, ToolCall, ToolResult
from colonnade.v1.models_pb2 import GenerationOptions
from colonnade.v1.tools_pb2 import TOOL_CHOICE_ONE, ToolChoice, ToolDefinition


class ToolFields(TypedDict, total=False):
    """Which tools a completion may use, and how."""

    tools: Sequence[ToolDefinition]
    """The tools that the model may propose to call; see `tool`."""
    tool_choice: Literal["auto", "none", "required"]
    """Whether it calls some; `auto` by default."""
    chosen_tool: str
    """The one that it must call."""
    parallel_tool_calls: bool
    """Whether one answer may propose several calls; the provider's own way by default."""


def tool(
    name: str,
    description: str = "",
    parameters: str | Mapping[str, Any] | None = None,
    *,
    strict: bool = False,
) -> ToolDefinition:
    """A tool. `parameters` is the JSON Schema of its arguments, as text or as `json` has it."""
    schema = parameters if isinstance(parameters, str) else json.dumps(parameters or {})
    if parameters is None:
        schema = ""
    return ToolDefinition(
        name=name, description=description, parameters_schema=schema, strict=strict
    )


def tool_calls(answer: Message) -> list[ToolCall]:
    """The calls that an answer proposes, in order."""
    return [part.tool_call for part in answer.parts if part.HasField("tool_call")]


def tool_results(*results: tuple[ToolCall, str | Mapping[str, Any] | Exception]) -> Message:
    """What the calls of one answer returned, to be sent after it; an exception is a failure."""
    return Message(role=ROLE_TOOL, parts=[Part(tool_result=_result(*each)) for each in results])


def _result(call: ToolCall, returned: str | Mapping[str, Any] | Exception) -> ToolResult:
    if isinstance(returned, Exception):
        return ToolResult(call_id=call.call_id, content=str(returned), failed=True)
    content = returned if isinstance(returned, str) else json.dumps(returned, ensure_ascii=False)
    return ToolResult(call_id=call.call_id, content=content)


def add_tool_options(options: GenerationOptions, fields: ToolFields) -> None:
    """Write down the choice among the tools."""
    if "tool_choice" in fields:
        options.tool_choice = ToolChoice.Value(f"TOOL_CHOICE_{fields['tool_choice'].upper()}")
    if "chosen_tool" in fields:
        options.tool_choice = TOOL_CHOICE_ONE
        options.chosen_tool = fields["chosen_tool"]
    if "parallel_tool_calls" in fields:
        options.parallel_tool_calls = fields["parallel_tool_calls"]
