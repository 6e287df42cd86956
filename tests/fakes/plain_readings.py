"""Plain readings of whole responses, in the providers' own words: what an adapter must hear.

They know nothing of streams that arrive in pieces, of odd servers or of errors in mid-stream:
the body is there, and its JSON is looked through.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from adapters.models import anthropic_reader, gemini_reader, openai_chunks
from core.generation import StopCause, TokenUsage
from fakes.heard import Called, Heard, meaning

Json = dict[str, Any]

TEXT_DELTA, REFUSAL_DELTA = "response.output_text.delta", "response.refusal.delta"
INCOMPLETE = {
    "max_output_tokens": StopCause.LENGTH,
    "content_filter": StopCause.CONTENT_FILTER,
}
THOUGHT = re.compile(
    r"\s*(?:<(think|thinking|thought|reasoning|seed:think)>(.*?)(?:</\1>|\Z)"
    r"|\[THINK\](.*?)(?:\[/THINK\]|\Z))\s*",
    re.DOTALL,
)


def events_in(body: bytes) -> list[Json]:
    """The JSON of every complete event, but for the end mark; one named `error` holds that."""
    whole = body.decode(errors="replace").replace("\r\n", "\n").replace("\r", "\n")
    found: list[Json] = []
    for event in whole.split("\n\n")[:-1]:
        lines = event.split("\n")
        data = "\n".join(line[5:].removeprefix(" ") for line in lines if line.startswith("data:"))
        if data and data.strip() != "[DONE]":
            found.append(_json(data, is_error="event: error" in lines))
    return found


def tags_apart(heard: Heard) -> Heard:
    """The same with thoughts that stand between tags at the beginning of the text."""
    text, thoughts = heard.text, heard.reasoning
    while found := THOUGHT.match(text):
        thoughts += (found[2] or found[3] or "").strip()
        text = text[found.end() :]
    return replace(heard, text=text, reasoning=thoughts)


def chat(said: list[Json]) -> Heard | None:
    """Chat Completions: chunks, or one whole completion. None where it is no whole answer."""
    text = reasoning = refusal = ""
    calls: dict[object, list[str]] = {}
    ids: dict[object, object] = {}
    finish, usage = None, TokenUsage()
    for one in said:
        counted = one.get("usage") or (one.get("x_groq") or {}).get("usage")
        usage = _chat_usage(counted) if counted else usage
        if usage == TokenUsage() and (timed := one.get("timings")):
            read = timed["cache_n"] + timed["prompt_n"]
            usage = TokenUsage(read, timed["predicted_n"], timed["cache_n"])
        for choice in one.get("choices") or ():
            finish = choice.get("finish_reason") or finish
            delta = choice.get("delta") or choice.get("message") or {}
            more_text, more_thoughts = _chat_content(delta)
            text, reasoning = text + more_text, reasoning + more_thoughts
            refusal += delta.get("refusal") or ""
            _chat_calls(delta.get("tool_calls") or (), calls, ids)
    if finish is None:
        return None
    made = tuple(Called(tool, meaning(arguments)) for tool, arguments in calls.values())
    cause = openai_chunks.STOP_CAUSES.get(finish)
    if cause is None:
        return None
    cause = StopCause.TOOL_CALLS if made and cause is StopCause.STOP else cause
    return Heard(text, reasoning, refusal, made, cause, usage)


def messages(said: list[Json]) -> Heard | None:
    """Anthropic's Messages: events, or one whole message."""
    blocks: list[Json] = []
    usage: Json = {}
    stop, ended = None, False
    for one in said:
        ended = ended or one.get("type") in ("message", "message_stop")
        match one.get("type"):
            case "message_start":
                usage |= one["message"]["usage"]
            case "message":
                blocks, usage, stop = one["content"], one["usage"], one["stop_reason"]
            case "content_block_start":
                blocks.append(one["content_block"] | {"json": ""})
            case "content_block_delta":
                for name in ("text", "thinking"):
                    if name in one["delta"]:
                        blocks[-1][name] = blocks[-1].get(name, "") + one["delta"][name]
                blocks[-1]["json"] += one["delta"].get("partial_json", "")
            case "message_delta":
                stop, usage = one["delta"]["stop_reason"], usage | (one.get("usage") or {})
    cause = anthropic_reader.STOP_CAUSES.get(stop or "")
    if cause is None or not ended:
        return None
    return Heard(
        text=_joined(blocks, "text"),
        reasoning=_joined(blocks, "thinking"),
        calls=tuple(
            Called(block["name"], meaning(block.get("json") or json.dumps(block["input"])))
            for block in blocks
            if block["type"] == "tool_use"
        ),
        cause=cause,
        usage=_message_usage(usage),
    )


def responses(said: list[Json]) -> Heard | None:
    """OpenAI's Responses: the response at the end of the events, or alone.

    What people read is in the deltas where there are some, else in the response.
    """
    whole = said[-1].get("response", said[-1])
    if whole.get("status") not in ("completed", "complete", "incomplete"):
        return None
    text = "".join(one["delta"] for one in said if one.get("type") == TEXT_DELTA)
    refusal = "".join(one["delta"] for one in said if one.get("type") == REFUSAL_DELTA)
    streamed = bool(text or refusal)
    thoughts, calls = "", []
    for item in whole["output"]:
        is_read = item["type"] == "message" and not streamed
        for part in item.get("content") or () if is_read else ():
            text += part.get("text") or ""
            refusal += part.get("refusal") or ""
        if item["type"] == "reasoning":
            told = [part["text"] for part in item.get("summary") or item.get("content") or ()]
            thoughts += "\n\n".join(told)
        if item["type"] == "function_call":
            calls.append(Called(item["name"], meaning(item["arguments"])))
    cause: StopCause | None = StopCause.TOOL_CALLS if calls else StopCause.STOP
    if whole["status"] == "incomplete":
        cause = INCOMPLETE.get((whole.get("incomplete_details") or {}).get("reason", ""))
    if cause is None:
        return None
    usage = whole.get("usage") or {}
    counts = TokenUsage(
        usage.get("input_tokens"),
        usage.get("output_tokens"),
        (usage.get("input_tokens_details") or {}).get("cached_tokens"),
        (usage.get("output_tokens_details") or {}).get("reasoning_tokens"),
    )
    return Heard(text, thoughts, refusal, tuple(calls), cause, counts)


def gemini(said: list[Json]) -> Heard | None:
    """Google's generateContent: chunks, or one whole response."""
    text = thoughts = ""
    calls: list[Called] = []
    finish = None
    usage: Json = {}
    for one in said:
        usage = one.get("usageMetadata") or usage
        for candidate in one.get("candidates") or ():
            finish = candidate.get("finishReason") or finish
            for part in (candidate.get("content") or {}).get("parts") or ():
                if part.get("thought"):
                    thoughts += part.get("text", "")
                else:
                    text += part.get("text", "")
                if call := part.get("functionCall"):
                    calls.append(Called(call["name"], call.get("args") or {}))
    cause = gemini_reader.STOP_CAUSES.get(finish or "")
    if cause is None:
        return None
    if calls and cause is StopCause.STOP:
        cause = StopCause.TOOL_CALLS
    return Heard(text, thoughts, "", tuple(calls), cause, _gemini_usage(usage))


READINGS = {
    "chat": chat,
    "azure": chat,
    "messages": messages,
    "responses": responses,
    "gemini": gemini,
}


def _json(data: str, *, is_error: bool) -> Json:
    try:
        value = json.loads(data)
    except ValueError:
        return {"error": "no JSON"}
    return value if isinstance(value, dict) and not is_error else {"error": value}


def _joined(blocks: Iterable[Json], name: str) -> str:
    return "".join(block[name] for block in blocks if block["type"] == name)


def _chat_content(delta: Json) -> tuple[str, str]:
    content = delta.get("content") or ""
    reasoning = str(delta.get("reasoning_content") or delta.get("reasoning") or "")
    if isinstance(content, list):
        thoughts = [part["thinking"] for part in content if part["type"] == "thinking"]
        reasoning += "".join(piece["text"] for thought in thoughts for piece in thought)
        content = "".join(part["text"] for part in content if part["type"] == "text")
    return str(content), reasoning


def _chat_calls(
    pieces: Iterable[Json], calls: dict[object, list[str]], ids: dict[object, object]
) -> None:
    for number, piece in enumerate(pieces):
        key = piece.get("index", number)
        if key in calls and piece.get("id") not in (None, "", ids.get(key)):
            key = (key, piece["id"])  # a server that numbers all of them alike
        ids.setdefault(key, piece.get("id"))
        function = piece["function"]
        call = calls.setdefault(key, ["", ""])
        call[0] = call[0] or function.get("name") or ""
        arguments = function.get("arguments") or ""
        call[1] += arguments if isinstance(arguments, str) else json.dumps(arguments)


def _chat_usage(usage: Json) -> TokenUsage:
    prompt = usage.get("prompt_tokens_details") or {}
    completion = usage.get("completion_tokens_details") or {}
    return TokenUsage(
        usage.get("prompt_tokens"),
        usage.get("completion_tokens"),
        prompt.get("cached_tokens", usage.get("prompt_cache_hit_tokens")),
        completion.get("reasoning_tokens"),
        prompt.get("cache_write_tokens"),
    )


def _message_usage(usage: Json) -> TokenUsage:
    cached, written = usage.get("cache_read_input_tokens"), usage.get("cache_creation_input_tokens")
    details = usage.get("output_tokens_details") or {}
    return TokenUsage(
        usage["input_tokens"] + (cached or 0) + (written or 0),
        usage["output_tokens"],
        cached,
        details.get("thinking_tokens"),
        written,
    )


def _gemini_usage(usage: Json) -> TokenUsage:
    written = [usage.get("candidatesTokenCount"), usage.get("thoughtsTokenCount")]
    known = [count for count in written if count is not None]
    read = usage.get("promptTokenCount")
    return TokenUsage(
        None if read is None else read + usage.get("toolUsePromptTokenCount", 0),
        sum(known) if known else None,
        usage.get("cachedContentTokenCount"),
        usage.get("thoughtsTokenCount"),
    )
