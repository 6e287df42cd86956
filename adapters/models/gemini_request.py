"""A generation request as the body of POST /models/…:streamGenerateContent."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

from adapters.models.prompt_parts import (
    SYSTEM_ROLES,
    arguments_of,
    image_data,
    output_limit,
    tools_by_call,
)
from adapters.models.schemas import parameters_schema, response_schema
from adapters.models.tool_names import ToolNames
from core.catalog import Deployment
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
    Part,
    ReasoningPart,
    Role,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)

WIRE = "gemini"
"""The name of the format in seals of thoughts."""

Thinking = Literal["budget", "level"]
"""How a model is told how long to think: by a number of tokens (2.5), or by a word (from 3 on)."""

_BUDGETS = {
    ReasoningEffort.NONE: 0,
    ReasoningEffort.MINIMAL: 512,
    ReasoningEffort.LOW: 1_024,
    ReasoningEffort.MEDIUM: 8_192,
    ReasoningEffort.HIGH: 24_576,
}
_LEVELS = {
    ReasoningEffort.NONE: "minimal",  # these models can't leave it altogether
    ReasoningEffort.MINIMAL: "minimal",
    ReasoningEffort.LOW: "low",
    ReasoningEffort.MEDIUM: "medium",
    ReasoningEffort.HIGH: "high",
}

_SEEDS = 2**31
"""Google's seeds are 31 bits wide."""

Shape = dict[str, object]


def request_body(
    request: GenerationRequest, deployment: Deployment, thinking: Thinking
) -> dict[str, object]:
    """The body, as JSON values. Raises ModelError (BAD_REQUEST).

    The format has no system messages among the others: all of them stand in front, in order.
    """
    names = ToolNames.of(request)
    body: dict[str, object] = {
        "contents": _contents(request.messages, names),
        "generationConfig": _config(request, deployment, thinking),
    }
    system = [one.text for one in request.messages if one.role in SYSTEM_ROLES and one.text]
    if system:
        body["systemInstruction"] = {"parts": [{"text": text} for text in system]}
    return body | _tools(request.options, names)


def _contents(messages: Iterable[Message], names: ToolNames) -> list[Shape]:
    """The messages without the system's; neighbours of one role are one."""
    tools = tools_by_call(messages)
    contents: list[tuple[str, list[Shape]]] = []
    for message in messages:
        if message.role in SYSTEM_ROLES:
            continue
        parts = list(_parts(message.parts, tools, names))
        role = "model" if message.role is Role.ASSISTANT else "user"
        if contents and contents[-1][0] == role:
            contents[-1][1].extend(parts)
        elif parts:
            contents.append((role, parts))
    return [{"role": role, "parts": parts} for role, parts in contents]


def _parts(parts: Iterable[Part], tools: Mapping[str, str], names: ToolNames) -> Iterator[Shape]:
    """The parts; a seal goes with the part after it, and alone with an empty text."""
    seal = ""
    for part in parts:
        if isinstance(part, ReasoningPart):
            seal = part.seal if part.wire == WIRE else seal
            continue
        yield _part(part, tools, names) | ({"thoughtSignature": seal} if seal else {})
        seal = ""
    if seal:
        yield {"text": "", "thoughtSignature": seal}


def _part(part: Part, tools: Mapping[str, str], names: ToolNames) -> Shape:
    match part:
        case TextPart(text):
            return {"text": text}
        case ImagePart():
            return _image(part)
        case ToolCallPart(_, tool):
            return {"functionCall": {"name": names.there(tool), "args": arguments_of(part)}}
        case ToolResultPart(call_id):
            tool = tools.get(call_id, "")
            name = names.there(tool) if tool else "unknown"
            return {"functionResponse": {"name": name, "response": _response(part)}}
        case ReasoningPart():
            return {}


def _image(part: ImagePart) -> Shape:
    data = image_data(part)
    if data is None:
        return {"fileData": {"mimeType": part.media_type, "fileUri": part.uri}}
    return {"inlineData": {"mimeType": data.media_type, "data": data.base64}}


def _response(part: ToolResultPart) -> Shape:
    """The result as an object: its own where it is one, else under a name that says what it is."""
    if part.is_error:
        return {"error": part.content}
    try:
        result: object = json.loads(part.content)
    except (ValueError, RecursionError):
        result = part.content
    return result if isinstance(result, dict) else {"result": result}


def _config(request: GenerationRequest, deployment: Deployment, thinking: Thinking) -> Shape:
    options = request.options
    given: Shape = {
        "maxOutputTokens": output_limit(request, deployment),
        "temperature": options.temperature,
        "topP": options.top_p,
        "seed": None if options.seed is None else options.seed % _SEEDS,
        "stopSequences": list(options.stop) or None,
    }
    if options.response_schema:
        given["responseMimeType"] = "application/json"
        given["responseJsonSchema"] = response_schema(request)
    if options.logprobs is not None:
        given |= {"responseLogprobs": True, "logprobs": options.logprobs or None}
    if options.reasoning_effort is not None:
        given["thinkingConfig"] = _thinking(options.reasoning_effort, thinking)
    if (tokens := options.reasoning_tokens) is not None:
        given["thinkingConfig"] = {"thinkingBudget": tokens, "includeThoughts": tokens > 0}
    return {name: value for name, value in given.items() if value is not None}


def _thinking(effort: ReasoningEffort, thinking: Thinking) -> Shape:
    shown = {"includeThoughts": effort is not ReasoningEffort.NONE}
    if thinking == "level":
        return {"thinkingLevel": _LEVELS[effort], **shown}
    return {"thinkingBudget": _BUDGETS[effort], **shown}


def _tools(options: GenerationOptions, names: ToolNames) -> Shape:
    if not options.tools:
        return {}
    modes = {
        ToolChoice.AUTO: "AUTO",
        ToolChoice.NONE: "NONE",
        ToolChoice.REQUIRED: "ANY",
        ToolChoice.ONE: "ANY",
    }
    calling: Shape = {"mode": modes[options.tool_choice]}
    if options.tool_choice is ToolChoice.ONE:
        calling["allowedFunctionNames"] = [names.there(options.chosen_tool)]
    declared = [_declaration(tool, names) for tool in options.tools]
    return {
        "tools": [{"functionDeclarations": declared}],
        "toolConfig": {"functionCallingConfig": calling},
    }


def _declaration(tool: ToolDefinition, names: ToolNames) -> Shape:
    return {
        "name": names.there(tool.name),
        "description": tool.description,
        "parametersJsonSchema": parameters_schema(tool),
    }
