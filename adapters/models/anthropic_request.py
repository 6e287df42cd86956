"""A generation request as the body of POST /messages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal

from adapters.models.prompt_parts import (
    SYSTEM_ROLES,
    arguments_of,
    image_data,
    output_limit,
    tools_by_call,
    unsealed,
)
from adapters.models.schemas import parameters_schema, response_schema
from adapters.models.tool_names import ToolNames, legal_call_id
from core.catalog import Deployment
from core.generation import (
    GenerationOptions,
    GenerationRequest,
    ModelError,
    ModelErrorKind,
    ReasoningEffort,
    ToolChoice,
    ToolDefinition,
)
from core.messages import (
    ImagePart,
    Part,
    ReasoningPart,
    Role,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)

WIRE = "anthropic"
"""The name of the format in seals of thoughts."""
LONGEST_NAME = 128

Thinking = Literal["budget", "adaptive"]
"""How a model is told how long to think: by a number of tokens, or by a word (newer ones)."""

_BUDGETS = {
    ReasoningEffort.MINIMAL: 1_024,
    ReasoningEffort.LOW: 2_048,
    ReasoningEffort.MEDIUM: 8_192,
    ReasoningEffort.HIGH: 24_576,
}
_SMALLEST_BUDGET = 1_024  # the provider takes none below
_WORDS = {
    ReasoningEffort.MINIMAL: "low",  # there is no word for less
    ReasoningEffort.LOW: "low",
    ReasoningEffort.MEDIUM: "medium",
    ReasoningEffort.HIGH: "high",
}
_CACHED: dict[str, object] = {"type": "ephemeral"}

Block = dict[str, object]


def request_body(
    request: GenerationRequest, deployment: Deployment, thinking: Thinking
) -> dict[str, object]:
    """The body, as JSON values. Raises ModelError (BAD_REQUEST).

    The format has no system messages among the others: all of them stand in front, in order.
    """
    options = request.options
    names = ToolNames.of(request, LONGEST_NAME)
    limit = output_limit(request, deployment)
    thinks = _thinking(options, limit, thinking)
    body: dict[str, object] = {
        "model": deployment.model,
        "max_tokens": limit,
        "messages": _turns(request, names),
        "stream": not request.whole,
    }
    if system := _system(request):
        body["system"] = system
    given = {
        "temperature": options.temperature,
        "top_p": options.top_p,
        "stop_sequences": list(options.stop) or None,
    }
    body |= {name: value for name, value in given.items() if value is not None}
    return body | _tools(request, names) | thinks | _output(request, thinking)


def _system(request: GenerationRequest) -> list[Block]:
    blocks: list[Block] = []
    for index, message in enumerate(request.messages):
        if message.role in SYSTEM_ROLES and message.text.strip():
            blocks.append({"type": "text", "text": message.text})
            if index + 1 == _last_stable(request, system=True):
                blocks[-1]["cache_control"] = _CACHED
    return blocks


def _last_stable(request: GenerationRequest, *, system: bool) -> int:
    """The number, from 1, of the last stable message that is of the system, or that is not."""
    stable = request.messages[: request.stable_messages]
    numbers = [n for n, one in enumerate(stable, 1) if (one.role in SYSTEM_ROLES) is system]
    return max(numbers, default=0)


def _turns(request: GenerationRequest, names: ToolNames) -> list[dict[str, object]]:
    """The messages without the system's; neighbours of one role are one, results first."""
    turns: list[tuple[str, list[Block]]] = []
    cached = _last_stable(request, system=False)
    for number, message in enumerate(request.messages, 1):
        if message.role in SYSTEM_ROLES:
            continue
        blocks = list(_blocks(message.parts, names))
        if not blocks:
            continue
        if number == cached:
            blocks[-1]["cache_control"] = _CACHED
        role = "assistant" if message.role is Role.ASSISTANT else "user"
        if turns and turns[-1][0] == role:
            turns[-1][1].extend(blocks)
        else:
            turns.append((role, blocks))
    _end_a_beginning(turns)
    return [{"role": role, "content": _results_first(blocks)} for role, blocks in turns]


def _end_a_beginning(turns: Sequence[tuple[str, list[Block]]]) -> None:
    """An answer that is to be continued may not end with white space."""
    if turns and turns[-1][0] == "assistant":
        last = turns[-1][1][-1]
        if isinstance(text := last.get("text"), str):
            last["text"] = text.rstrip()


def _results_first(blocks: Iterable[Block]) -> list[Block]:
    return sorted(blocks, key=lambda block: block["type"] != "tool_result")


def _blocks(parts: Iterable[Part], names: ToolNames) -> Iterator[Block]:
    """The parts as blocks; a blank text is refused by the provider, and left out."""
    for part in parts:
        match part:
            case TextPart(text) if text.strip():
                yield {"type": "text", "text": text}
            case TextPart():
                pass
            case ImagePart():
                yield {"type": "image", "source": _image(part)}
            case ToolCallPart(call_id, tool):
                yield {
                    "type": "tool_use",
                    "id": legal_call_id(call_id),
                    "name": names.there(tool),
                    "input": arguments_of(part),
                }
            case ToolResultPart(call_id, content, is_error):
                result: Block = {"type": "tool_result", "tool_use_id": legal_call_id(call_id)}
                yield result | {"content": content} | ({"is_error": True} if is_error else {})
            case ReasoningPart(text, seal, wire):
                yield from _thought(text, seal) if wire == WIRE else ()


def _image(part: ImagePart) -> Mapping[str, object]:
    data = image_data(part)
    if data is None:
        return {"type": "url", "url": part.uri}
    return {"type": "base64", "media_type": data.media_type, "data": data.base64}


def _thought(text: str, seal: str) -> Iterator[Block]:
    """The block that the seal was made of; the text of a plain one is not in its seal.

    A seal may have gone through a caller's hands: no block of another kind is made of it.
    """
    block = unsealed(seal)
    kind = block.get("type") if isinstance(block, dict) else None
    if isinstance(block, dict) and kind in ("thinking", "redacted_thinking"):
        yield block | {"thinking": text} if kind == "thinking" else block


def _tools(request: GenerationRequest, names: ToolNames) -> dict[str, object]:
    """The tools; those that are only spoken of are named, too, since the provider wants that."""
    options = request.options
    if not options.tools:
        spoken_of = sorted({names.there(tool) for tool in tools_by_call(request.messages).values()})
        named = [{"name": name, "input_schema": {"type": "object"}} for name in spoken_of]
        return {"tools": named, "tool_choice": {"type": "none"}} if named else {}
    choices: dict[ToolChoice, dict[str, object]] = {
        ToolChoice.AUTO: {"type": "auto"},
        ToolChoice.NONE: {"type": "none"},
        ToolChoice.REQUIRED: {"type": "any"},
        ToolChoice.ONE: {"type": "tool"},
    }
    choice = choices[options.tool_choice]
    if options.tool_choice is ToolChoice.ONE:
        choice["name"] = names.there(options.chosen_tool)
    if options.parallel_tool_calls is not None and options.tool_choice is not ToolChoice.NONE:
        choice["disable_parallel_tool_use"] = not options.parallel_tool_calls
    return {"tools": [_tool(tool, names) for tool in options.tools], "tool_choice": choice}


def _tool(tool: ToolDefinition, names: ToolNames) -> dict[str, object]:
    shape: dict[str, object] = {
        "name": names.there(tool.name),
        "description": tool.description,
        "input_schema": {"type": "object"} | parameters_schema(tool),
    }
    return shape | ({"strict": True} if tool.strict else {})


def _thinking(options: GenerationOptions, limit: int, thinking: Thinking) -> dict[str, object]:
    effort, tokens = options.reasoning_effort, options.reasoning_tokens
    if effort is ReasoningEffort.NONE or tokens == 0:
        return {"thinking": {"type": "disabled"}}
    if tokens is not None:
        return {"thinking": {"type": "enabled", "budget_tokens": _given_budget(tokens, limit)}}
    if effort is None:
        return {}
    if thinking == "adaptive":
        return {"thinking": {"type": "adaptive"}}
    if limit <= _SMALLEST_BUDGET:
        raise ModelError(
            ModelErrorKind.BAD_REQUEST,
            f"reasoning needs an output limit of more than {_SMALLEST_BUDGET} tokens",
        )
    budget = min(_BUDGETS[effort], max(_SMALLEST_BUDGET, limit // 2))
    return {"thinking": {"type": "enabled", "budget_tokens": budget}}


def _given_budget(tokens: int, limit: int) -> int:
    """The caller's own number, which is not made another one. Raises ModelError (BAD_REQUEST)."""
    if not _SMALLEST_BUDGET <= tokens < limit:
        raise ModelError(
            ModelErrorKind.BAD_REQUEST,
            f"reasoning_tokens must be 0, or at least {_SMALLEST_BUDGET} and below the output "
            f"limit, which is {limit}",
        )
    return tokens


def _output(request: GenerationRequest, thinking: Thinking) -> dict[str, object]:
    config: dict[str, object] = {}
    if request.options.response_schema:
        config["format"] = {"type": "json_schema", "schema": response_schema(request)}
    effort = request.options.reasoning_effort
    if thinking == "adaptive" and effort in _WORDS:
        config["effort"] = _WORDS[effort]
    return {"output_config": config} if config else {}
