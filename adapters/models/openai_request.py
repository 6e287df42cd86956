"""A generation request as the body of POST /chat/completions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from adapters.models.openai_dialects import Dialect
from adapters.models.prompt_parts import image_data, is_begun, output_limit, result_text, unsealed
from adapters.models.schemas import is_closed, parameters_schema, response_schema
from adapters.models.tool_names import ToolNames, legal_call_id
from adapters.models.wire import unsupported
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
    ReasoningPart,
    Role,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)

_DEMANDS = frozenset({ToolChoice.REQUIRED, ToolChoice.ONE})


def request_body(
    request: GenerationRequest, deployment: Deployment, dialect: Dialect
) -> dict[str, object]:
    """The body, as JSON values. Raises ModelError (UNSUPPORTED, BAD_REQUEST).

    The answer is always bounded: by the request's limit, and never beyond the deployment's.
    """
    _refuse(request, deployment, dialect)
    options = request.options
    names = ToolNames.of(request)
    shapes = [shape for one in request.messages for shape in message_shapes(one, dialect, names)]
    body: dict[str, object] = {
        "model": deployment.model,
        "messages": shapes,
        "stream": not request.whole,
        dialect.output_limit: output_limit(request, deployment),
    }
    if dialect.stream_usage and not request.whole:
        body["stream_options"] = {"include_usage": True}
    if options.response_schema:
        body["response_format"] = _response_format(response_schema(request), dialect)
    if is_begun(request):
        body |= _begun(shapes, dialect)
    return body | _sampling(options, dialect) | _tools(options, dialect, names)


def message_shapes(
    message: Message, dialect: Dialect, names: ToolNames | None = None
) -> list[dict[str, object]]:
    """The message as the wire has it: one object, but one for each result of a tool."""
    if message.role is Role.TOOL:
        results = [part for part in message.parts if isinstance(part, ToolResultPart)]
        return [_result(part, dialect) for part in results]
    shape: dict[str, object] = {"role": _role(message.role, dialect), "content": _content(message)}
    calls = [part for part in message.parts if isinstance(part, ToolCallPart)]
    if calls:
        known = names or ToolNames((call.tool for call in calls), 64)
        shape["tool_calls"] = [_call(call, dialect, known) for call in calls]
        shape["content"] = shape["content"] or None
        shape |= _thoughts_back(message.parts, dialect)
    return [shape]


def _refuse(request: GenerationRequest, deployment: Deployment, dialect: Dialect) -> None:
    """Raises ModelError (UNSUPPORTED) for what this dialect has no words for."""
    options = request.options
    images = [p for message in request.messages for p in message.parts if isinstance(p, ImagePart)]
    lacking = {
        "going on from an answer that was begun": is_begun(request) and not dialect.prefix,
        "parallel_tool_calls": options.parallel_tool_calls is not None
        and not dialect.parallel_switch,
        f"the tool choice {options.tool_choice.value!r}": options.tool_choice in _DEMANDS
        and options.tool_choice not in dialect.choices,
        "images that lie elsewhere": not dialect.remote_images
        and any(image_data(image) is None for image in images),
    }
    for what, lacks in lacking.items():
        if lacks:
            raise unsupported(deployment, what)


def _sampling(options: GenerationOptions, dialect: Dialect) -> dict[str, object]:
    given: dict[str, object] = {
        "temperature": options.temperature,
        "top_p": options.top_p,
        dialect.seed: options.seed,
        "stop": list(options.stop) or None,
        "prompt_cache_key": (options.cache_key or None) if dialect.cache_key else None,
    }
    if options.logprobs is not None:
        given |= {"logprobs": True, "top_logprobs": options.logprobs or None}
    if options.reasoning_effort is not None:
        given |= _effort(options.reasoning_effort, dialect)
    if (tokens := options.reasoning_tokens) is not None:  # one dialect only takes it
        given["reasoning"] = {"max_tokens": tokens} if tokens else {"enabled": False}
    return {name: value for name, value in given.items() if value is not None}


def _effort(effort: ReasoningEffort, dialect: Dialect) -> dict[str, object]:
    match dialect.effort:
        case "reasoning_effort":
            return {"reasoning_effort": effort.value}
        case "reasoning" if effort is ReasoningEffort.NONE:
            return {"reasoning": {"enabled": False}}
        case "reasoning":
            return {"reasoning": {"effort": effort.value}}
        case "chat_template_kwargs":
            thinks = effort is not ReasoningEffort.NONE
            kwargs = {"enable_thinking": thinks, "reasoning_effort": effort.value}
            return {"chat_template_kwargs": kwargs}


def _tools(options: GenerationOptions, dialect: Dialect, names: ToolNames) -> dict[str, object]:
    unheard = options.tool_choice is ToolChoice.NONE and ToolChoice.NONE not in dialect.choices
    if not options.tools or unheard:
        return {}  # without tools there are no calls
    shapes: dict[str, object] = {"tools": [_tool(tool, names) for tool in options.tools]}
    match options.tool_choice:
        case ToolChoice.NONE:
            shapes["tool_choice"] = "none"
        case ToolChoice.REQUIRED:
            shapes["tool_choice"] = dialect.must_call
        case ToolChoice.ONE:
            chosen = {"name": names.there(options.chosen_tool)}
            shapes["tool_choice"] = {"type": "function", "function": chosen}
        case ToolChoice.AUTO:
            pass  # what every server does where tools are given
    if options.parallel_tool_calls is not None:
        shapes["parallel_tool_calls"] = options.parallel_tool_calls
    return shapes


def _tool(tool: ToolDefinition, names: ToolNames) -> dict[str, object]:
    function: dict[str, object] = {
        "name": names.there(tool.name),
        "description": tool.description,
        "parameters": parameters_schema(tool),
    }
    if tool.strict:
        function["strict"] = True
    return {"type": "function", "function": function}


def _response_format(schema: dict[str, object], dialect: Dialect) -> dict[str, object]:
    if dialect.schema == "json_object_value":
        return {"type": "json_object", "value": schema}
    named = {"name": "response", "schema": schema, "strict": is_closed(schema)}
    return {"type": "json_schema", "json_schema": named}


def _begun(shapes: list[dict[str, object]], dialect: Dialect) -> dict[str, object]:
    """Says that the last message is to be continued."""
    if dialect.prefix == "flag":
        shapes[-1]["prefix"] = True
    if dialect.prefix == "continue_final_message":
        return {"continue_final_message": True, "add_generation_prompt": False}
    return {}


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


def _call(part: ToolCallPart, dialect: Dialect, names: ToolNames) -> dict[str, object]:
    function = {"name": names.there(part.tool), "arguments": part.arguments or "{}"}
    call_id = legal_call_id(part.call_id, dialect.call_id_length)
    return {"id": call_id, "type": "function", "function": function}


def _result(part: ToolResultPart, dialect: Dialect) -> dict[str, object]:
    call_id = legal_call_id(part.call_id, dialect.call_id_length)
    return {"role": "tool", "tool_call_id": call_id, "content": result_text(part)}


def _thoughts_back(parts: Sequence[object], dialect: Dialect) -> dict[str, object]:
    """The thoughts that came in this dialect, where it wants them back with the calls."""
    ours = [p for p in parts if isinstance(p, ReasoningPart) and p.wire == dialect.name]
    if not ours or not dialect.thoughts_back:
        return {}
    if dialect.thoughts_back == "reasoning_content":
        return {"reasoning_content": "".join(part.text for part in ours)}
    details: list[object] = []
    for part in ours:
        kept = unsealed(part.seal)
        details += kept if isinstance(kept, list) else []
    return {"reasoning_details": details}
