"""What a request with tools must keep beyond the types of its fields."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from core.errors import FieldViolation
from core.generation import GenerationOptions, ToolChoice
from core.messages import Message, ToolCallPart, ToolResultPart

_DEMANDS = frozenset({ToolChoice.REQUIRED, ToolChoice.ONE})


def tool_violations(
    options: GenerationOptions, messages: Sequence[Message]
) -> Iterator[FieldViolation]:
    """What is wrong with the tools, the choice among them, and the results of earlier calls."""
    yield from _definition_violations(options)
    yield from _choice_violations(options)
    yield from _result_violations(messages)


def _definition_violations(options: GenerationOptions) -> Iterator[FieldViolation]:
    seen: set[str] = set()
    for index, tool in enumerate(options.tools):
        if tool.name in seen:
            yield FieldViolation(f"tools[{index}].name", "is the name of another tool, too")
        seen.add(tool.name)


def _choice_violations(options: GenerationOptions) -> Iterator[FieldViolation]:
    names = {tool.name for tool in options.tools}
    one = options.tool_choice is ToolChoice.ONE
    if options.tool_choice in _DEMANDS and not names:
        yield FieldViolation("options.tool_choice", "demands a call, and there are no tools")
    elif one and options.chosen_tool not in names:
        yield FieldViolation("options.chosen_tool", "must be the name of one of the tools")
    if options.chosen_tool and not one:
        yield FieldViolation("options.chosen_tool", "is only for the choice ONE")
    if options.parallel_tool_calls is not None and not names:
        yield FieldViolation("options.parallel_tool_calls", "is only for requests with tools")


def _result_violations(messages: Sequence[Message]) -> Iterator[FieldViolation]:
    """Each result answers a call that came before it, and no call has two results."""
    waiting: set[str] = set()
    for place, message in enumerate(messages):
        for index, part in enumerate(message.parts):
            if isinstance(part, ToolCallPart):
                waiting.add(part.call_id)
            if not isinstance(part, ToolResultPart):
                continue
            if part.call_id not in waiting:
                at = f"messages[{place}].parts[{index}].tool_result.call_id"
                yield FieldViolation(at, "answers no call before it that waits for a result")
            waiting.discard(part.call_id)
