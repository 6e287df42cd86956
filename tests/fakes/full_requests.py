"""One request that asks for everything, for the formats to write down."""

from __future__ import annotations

from core.generation import (
    GenerationOptions,
    GenerationRequest,
    ReasoningEffort,
    ToolChoice,
    ToolDefinition,
)
from core.messages import (
    ImagePart,
    Message,
    ReasoningPart,
    Role,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)

SCHEMA = '{"type": "object", "properties": {"a": {"type": "number"}}, "required": ["a"]}'
CLOSED = SCHEMA[:-1] + ', "additionalProperties": false}'
ADD = ToolDefinition("add", "Adds.", SCHEMA)
PIXEL = "data:image/png;base64,iVBORw0KGgo="


def everything(**changed: object) -> GenerationOptions:
    """All options that every format knows."""
    options: dict[str, object] = {
        "temperature": 0.5,
        "top_p": 0.9,
        "max_output_tokens": 50,
        "response_schema": CLOSED,
        "tools": (ADD,),
        "tool_choice": ToolChoice.REQUIRED,
    }
    return GenerationOptions(**{**options, **changed})  # type: ignore[arg-type] # each test knows


def conversation(wire: str, seal: str) -> tuple[Message, ...]:
    """A system's and a developer's word, a question with images, a call, its results, thanks."""
    image, page = ImagePart(PIXEL, "image/png"), ImagePart("https://a/b.png", "image/png")
    call, other = ToolCallPart("call_1", "add", '{"a": 1}'), ToolCallPart("call_2", "add", "")
    thought = ReasoningPart("Hm.", seal, wire)
    return (
        Message.of(Role.SYSTEM, "Be good."),
        Message.of(Role.DEVELOPER, "Be short."),
        Message(Role.USER, (TextPart("What?"), image, page)),
        Message(Role.ASSISTANT, (thought, TextPart("I'll add."), call, other)),
        Message(
            Role.TOOL,
            (ToolResultPart("call_1", "2"), ToolResultPart("call_2", "no", is_error=True)),
        ),
        Message.of(Role.USER, "Thanks."),
    )


def asked(
    *messages: Message, options: GenerationOptions | None = None, stable: int = 0
) -> GenerationRequest:
    """A request of these messages."""
    given = messages or (Message.of(Role.USER, "Hello"),)
    return GenerationRequest(given, options or GenerationOptions(), stable_messages=stable)


EFFORT = GenerationOptions(reasoning_effort=ReasoningEffort.LOW, max_output_tokens=4_096)
NO_EFFORT = GenerationOptions(reasoning_effort=ReasoningEffort.NONE)
