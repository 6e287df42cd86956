"""A generation request as the body of POST /chat/completions."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from core.catalog import Deployment
from core.generation import GenerationRequest, ModelError, ModelErrorKind
from core.messages import (
    ImagePart,
    Message,
    Role,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)

DEEPEST_SCHEMA = 64
"""Levels of a response schema; servers that compile it by recursion must survive it."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """Where servers of Chat Completions differ from each other.

    `output_limit` is the field that bounds the answer (OpenAI's reasoning models refuse the old
    name, older servers don't know the new one). `developer_role` keeps developer messages what
    they are; otherwise they are sent as system messages. `stream_usage` asks for the token
    counts of a stream; a few servers refuse to be asked and send them anyway.
    """

    output_limit: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    developer_role: bool = False
    stream_usage: bool = True


def request_body(
    request: GenerationRequest, deployment: Deployment, dialect: Dialect
) -> dict[str, object]:
    """The body, as JSON values. Raises ModelError (BAD_REQUEST) for a schema that is none.

    The answer is always bounded: by the request's limit, and never beyond the deployment's.
    """
    options = request.options
    body: dict[str, object] = {
        "model": deployment.model,
        "messages": [shape for one in request.messages for shape in message_shapes(one, dialect)],
        "stream": True,
        dialect.output_limit: output_limit(request, deployment),
    }
    if dialect.stream_usage:
        body["stream_options"] = {"include_usage": True}
    if options.stop:
        body["stop"] = list(options.stop)
    if options.response_schema:
        schema = {"name": "response", "schema": response_schema(request), "strict": True}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    given = {"temperature": options.temperature, "top_p": options.top_p, "seed": options.seed}
    return body | {name: value for name, value in given.items() if value is not None}


def output_limit(request: GenerationRequest, deployment: Deployment) -> int:
    """How many tokens the answer may have."""
    return min(
        request.options.max_output_tokens or deployment.max_output_tokens,
        deployment.max_output_tokens,
    )


def response_schema(request: GenerationRequest) -> dict[str, object]:
    """The schema that the answer must satisfy, parsed. Raises ModelError (BAD_REQUEST)."""
    try:
        schema: object = json.loads(request.options.response_schema)
    except (ValueError, RecursionError):
        schema = None
    if not isinstance(schema, dict):
        raise ModelError(ModelErrorKind.BAD_REQUEST, "the response schema is not a JSON object")
    if _depth(schema, DEEPEST_SCHEMA) > DEEPEST_SCHEMA:
        raise ModelError(
            ModelErrorKind.BAD_REQUEST,
            f"the response schema is nested more than {DEEPEST_SCHEMA} levels deep",
        )
    return schema


def message_shapes(message: Message, dialect: Dialect) -> list[dict[str, object]]:
    """The message as the wire has it: one object, but one for each result of a tool."""
    results = [part for part in message.parts if isinstance(part, ToolResultPart)]
    if message.role is Role.TOOL:
        return [
            {"role": "tool", "tool_call_id": part.call_id, "content": part.content}
            for part in results
        ]
    shape: dict[str, object] = {"role": _role(message.role, dialect), "content": _content(message)}
    calls = [_call(part) for part in message.parts if isinstance(part, ToolCallPart)]
    if calls:
        shape["tool_calls"] = calls
        shape["content"] = shape["content"] or None
    return [shape]


def _role(role: Role, dialect: Dialect) -> str:
    as_system = role is Role.DEVELOPER and not dialect.developer_role
    return Role.SYSTEM.value if as_system else role.value


def _content(message: Message) -> object:
    """Plain text where there is nothing else: not every server takes a list of parts."""
    if not any(isinstance(part, ImagePart) for part in message.parts):
        return message.text
    return [shape for part in message.parts if (shape := _piece(part)) is not None]


def _piece(part: object) -> Mapping[str, object] | None:
    match part:
        case TextPart(text):
            return {"type": "text", "text": text}
        case ImagePart(uri):
            return {"type": "image_url", "image_url": {"url": uri}}
        case _:
            return None


def _call(part: ToolCallPart) -> dict[str, object]:
    function = {"name": part.tool, "arguments": part.arguments}
    return {"id": part.call_id, "type": "function", "function": function}


def _depth(value: object, limit: int) -> int:
    """Levels of nesting, counted to one beyond the limit at most."""
    depth = 0
    level = [value]
    while level and depth <= limit:
        depth += 1
        level = [child for one in level for child in _children(one)]
    return depth


def _children(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
