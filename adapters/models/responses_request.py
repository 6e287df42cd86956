"""A generation request as the body of POST /responses."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from adapters.models.prompt_parts import output_limit, result_text, unsealed
from adapters.models.schemas import is_closed, parameters_schema, response_schema
from adapters.models.tool_names import ToolNames, legal_call_id
from core.catalog import Capability, Deployment
from core.generation import GenerationOptions, GenerationRequest, ToolChoice, ToolDefinition
from core.messages import (
    ImagePart,
    Message,
    ReasoningPart,
    Role,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)

WIRE = "responses"
"""The name of the format in seals of thoughts."""

Shape = dict[str, object]


def request_body(request: GenerationRequest, deployment: Deployment) -> Shape:
    """The body, as JSON values. Raises ModelError (BAD_REQUEST).

    Nothing is kept at the provider (`store`): thoughts come sealed, and go back with the history.
    """
    options = request.options
    names = ToolNames.of(request)
    body: Shape = {
        "model": deployment.model,
        "input": [item for one in request.messages for item in _items(one, names)],
        "stream": not request.whole,
        "store": False,
        "max_output_tokens": output_limit(request, deployment),
    }
    given: Shape = {
        "temperature": options.temperature,
        "top_p": options.top_p,
        "top_logprobs": options.logprobs,
        "prompt_cache_key": options.cache_key or None,
        "include": _include(options, deployment) or None,
        "reasoning": _reasoning(options),
    }
    body |= {name: value for name, value in given.items() if value is not None}
    if options.response_schema:
        schema = response_schema(request)
        named = {"name": "response", "schema": schema, "strict": is_closed(schema)}
        body["text"] = {"format": {"type": "json_schema", **named}}
    return body | _tools(options, names)


def _include(options: GenerationOptions, deployment: Deployment) -> list[str]:
    """What must be asked for; a model that does not reason refuses to seal its thoughts."""
    wanted = []
    if options.reasoning_effort is not None or Capability.REASONING in deployment.capabilities:
        wanted.append("reasoning.encrypted_content")
    if options.logprobs is not None:
        wanted.append("message.output_text.logprobs")
    return wanted


def _reasoning(options: GenerationOptions) -> Shape | None:
    if options.reasoning_effort is None:
        return None
    return {"effort": options.reasoning_effort.value, "summary": "auto"}


def _items(message: Message, names: ToolNames) -> Iterator[Shape]:
    """The message as items of the input: its text and images are one, all else is apart."""
    said: list[TextPart | ImagePart] = []
    for part in message.parts:
        match part:
            case TextPart() | ImagePart():
                said.append(part)
                continue
            case ReasoningPart(_, seal, wire) if wire != WIRE or not _is_thought(unsealed(seal)):
                continue
        yield from _message(message.role, said)
        said = []
        match part:
            case ReasoningPart():
                yield json.loads(part.seal)
            case ToolCallPart(call_id, tool, arguments):
                yield {
                    "type": "function_call",
                    "call_id": legal_call_id(call_id),
                    "name": names.there(tool),
                    "arguments": arguments or "{}",
                }
            case ToolResultPart(call_id):
                output = {"call_id": legal_call_id(call_id), "output": result_text(part)}
                yield {"type": "function_call_output", **output}
    yield from _message(message.role, said)


def _is_thought(item: object) -> bool:
    """A seal may have gone through a caller's hands: no item of another kind is made of it."""
    return isinstance(item, dict) and item.get("type") == "reasoning"


def _message(role: Role, parts: Iterable[TextPart | ImagePart]) -> Iterator[Shape]:
    kind = "output_text" if role is Role.ASSISTANT else "input_text"
    content: list[Shape] = []
    for part in parts:
        match part:
            case TextPart(text):
                content.append({"type": kind, "text": text})
            case ImagePart(uri):
                content.append({"type": "input_image", "image_url": uri, "detail": "auto"})
    if content:
        yield {"type": "message", "role": role.value, "content": content}


def _tools(options: GenerationOptions, names: ToolNames) -> Shape:
    if not options.tools:
        return {}
    shapes: Shape = {"tools": [_tool(tool, names) for tool in options.tools]}
    if options.tool_choice is ToolChoice.ONE:
        chosen = {"type": "function", "name": names.there(options.chosen_tool)}
        shapes["tool_choice"] = chosen
    else:
        shapes["tool_choice"] = options.tool_choice.value
    if options.parallel_tool_calls is not None:
        shapes["parallel_tool_calls"] = options.parallel_tool_calls
    return shapes


def _tool(tool: ToolDefinition, names: ToolNames) -> Shape:
    """A tool; the format is strict where nothing is said, so it is always said."""
    return {
        "type": "function",
        "name": names.there(tool.name),
        "description": tool.description,
        "parameters": parameters_schema(tool),
        "strict": tool.strict,
    }
