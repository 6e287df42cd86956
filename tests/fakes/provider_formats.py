"""How each provider spells an answer, in its documented format, for the server that plays them.

A format turns what is said into the events of a stream, and reads from a request what matters:
the prompt's text and the limit of tokens.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

Body = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Say:
    """A piece of the answer: one token."""

    text: str


@dataclass(frozen=True, slots=True)
class Think:
    """A piece of the thoughts: one token, which is a token of the answer's count, too."""

    text: str


@dataclass(frozen=True, slots=True)
class Propose:
    """A call of a tool, its arguments in pieces: a token each, and one for the name."""

    call_id: str
    tool: str
    arguments: tuple[str, ...] = ()


Piece = Say | Think | Propose


@dataclass(frozen=True, slots=True)
class Counts:
    """Tokens as the provider counts them, in the sums that we use."""

    prompt: int
    completion: int
    cached: int = 0
    reasoning: int = 0


@dataclass(slots=True)
class Progress:
    """Where a stream stands: what the formats need to number their events."""

    blocks: int = 0
    open_block: str = ""
    calls: int = 0
    items: list[dict[str, Any]] = field(default_factory=list)


class ProviderFormat(Protocol):
    """One provider's spelling."""

    name: str
    path: str

    def prompt(self, body: Body) -> str:
        """All text of the request's messages, with a space between."""

    def limit(self, body: Body) -> int:
        """How many tokens the answer may have."""

    def begin(self, body: Body, counts: Counts, at: Progress) -> bytes:
        """What comes before the first piece."""

    def piece(self, piece: Piece, at: Progress) -> bytes:
        """One piece."""

    def end(self, cause: str, counts: Counts | None, at: Progress) -> bytes:
        """The end: cause is `stop`, `length`, `tool_calls` or `content_filter`; counts last."""

    def whole(self, pieces: Iterable[Piece], cause: str, counts: Counts | None) -> dict[str, Any]:
        """The answer in one piece."""

    def error(self, status: int, message: str) -> dict[str, Any]:
        """The body of a refusal."""

    def broken(self, message: str) -> bytes:
        """An error in the middle of a stream: the provider is overloaded."""


def event(value: object, name: str = "") -> bytes:
    """One server-sent event of a JSON value."""
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(value, ensure_ascii=False)}\n\n".encode()


def texts(value: object) -> Iterable[str]:
    """Every string that stands under a name of text in a JSON value."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name in ("text", "content", "system") and isinstance(inner, str):
                yield inner
            else:
                yield from texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts(inner)


def said(pieces: Iterable[Piece], kind: type[Say] | type[Think]) -> str:
    """All text of this kind."""
    return "".join(piece.text for piece in pieces if isinstance(piece, kind))


def _chat_usage(counts: Counts) -> dict[str, Any]:
    return {
        "prompt_tokens": counts.prompt,
        "completion_tokens": counts.completion,
        "prompt_tokens_details": {"cached_tokens": counts.cached},
        "completion_tokens_details": {"reasoning_tokens": counts.reasoning},
    }


class ChatFormat:
    """OpenAI's Chat Completions."""

    name = "chat"
    path = "/v1/chat/completions"

    def prompt(self, body: Body) -> str:
        return " ".join(texts(body["messages"]))

    def limit(self, body: Body) -> int:
        return int(body.get("max_tokens") or body.get("max_completion_tokens") or 1_000_000)

    def begin(self, body: Body, counts: Counts, at: Progress) -> bytes:
        return self._chunk({"role": "assistant", "content": ""})

    def piece(self, piece: Piece, at: Progress) -> bytes:
        match piece:
            case Say(text):
                return self._chunk({"content": text})
            case Think(text):
                return self._chunk({"reasoning_content": text})
            case Propose(call_id, tool, arguments):
                index, at.calls = at.calls, at.calls + 1
                function = {"name": tool, "arguments": ""}
                first = {"index": index, "id": call_id, "type": "function", "function": function}
                more = [{"index": index, "function": {"arguments": text}} for text in arguments]
                return b"".join(self._chunk({"tool_calls": [call]}) for call in [first, *more])

    def end(self, cause: str, counts: Counts | None, at: Progress) -> bytes:
        last = self._chunk({}, cause)
        if counts is not None:
            last += event({**self._head(), "choices": [], "usage": _chat_usage(counts)})
        return last + b"data: [DONE]\n\n"

    def whole(self, pieces: Iterable[Piece], cause: str, counts: Counts | None) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": said(pieces, Say)}
        if thoughts := said(pieces, Think):
            message["reasoning_content"] = thoughts
        calls = [piece for piece in pieces if isinstance(piece, Propose)]
        if calls:
            message["tool_calls"] = [
                {
                    "id": call.call_id,
                    "type": "function",
                    "function": {"name": call.tool, "arguments": "".join(call.arguments)},
                }
                for call in calls
            ]
        choice = {"index": 0, "message": message, "finish_reason": cause}
        return {**self._head(), "choices": [choice], "usage": counts and _chat_usage(counts)}

    def error(self, status: int, message: str) -> dict[str, Any]:
        kinds = {429: "rate_limit_exceeded", 401: "invalid_api_key"}
        code = kinds.get(status, "server_error" if status >= 500 else None)
        return {"error": {"message": message, "type": "error", "code": code, "param": None}}

    def broken(self, message: str) -> bytes:
        return event({"error": {"message": message, "type": "server_error", "code": None}})

    def _head(self) -> dict[str, Any]:
        return {
            "id": "chatcmpl-1",
            "object": "chat.completion.chunk",
            "created": 1_700_000_000,
            "model": "served-model",
            "system_fingerprint": "fp_1",
        }

    def _chunk(self, delta: dict[str, Any], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return event({**self._head(), "choices": [choice], "usage": None})


class AzureFormat(ChatFormat):
    """Chat Completions in Azure: another path, and what its filters say."""

    name = "azure"
    path = "/openai/deployments/{deployment}/chat/completions"

    def begin(self, body: Body, counts: Counts, at: Progress) -> bytes:
        safe = {"hate": {"filtered": False, "severity": "safe"}}
        results = [{"prompt_index": 0, "content_filter_results": safe}]
        filters = event({"id": "", "model": "", "choices": [], "prompt_filter_results": results})
        return filters + super().begin(body, counts, at)


_MESSAGE_REASONS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
}


class MessagesFormat:
    """Anthropic's Messages."""

    name = "messages"
    path = "/v1/messages"

    def prompt(self, body: Body) -> str:
        return " ".join([*texts(body.get("system", [])), *texts(body["messages"])])

    def limit(self, body: Body) -> int:
        return int(body["max_tokens"])

    def begin(self, body: Body, counts: Counts, at: Progress) -> bytes:
        usage = {
            "input_tokens": counts.prompt - counts.cached,
            "cache_read_input_tokens": counts.cached,
            "cache_creation_input_tokens": 0,
            "output_tokens": 1,
        }
        message: dict[str, Any] = {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "served-model",
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": usage,
        }
        return self._event("message_start", message=message) + self._event("ping")

    def piece(self, piece: Piece, at: Progress) -> bytes:
        match piece:
            case Say(text):
                start = self._block(at, "text", {"type": "text", "text": ""})
                return start + self._delta(at, {"type": "text_delta", "text": text})
            case Think(text):
                start = self._block(at, "thinking", {"type": "thinking", "thinking": ""})
                return start + self._delta(at, {"type": "thinking_delta", "thinking": text})
            case Propose(call_id, tool, arguments):
                block = {"type": "tool_use", "id": call_id, "name": tool, "input": {}}
                start = self._close(at) + self._block(at, "tool_use", block)
                deltas = [{"type": "input_json_delta", "partial_json": text} for text in arguments]
                return start + b"".join(self._delta(at, delta) for delta in deltas)

    def end(self, cause: str, counts: Counts | None, at: Progress) -> bytes:
        delta = {"stop_reason": _MESSAGE_REASONS.get(cause, cause), "stop_sequence": None}
        usage: dict[str, Any] = {"output_tokens": counts.completion} if counts else {}
        if counts is not None and counts.reasoning:
            usage["output_tokens_details"] = {"thinking_tokens": counts.reasoning}
        said = self._event("message_delta", delta=delta, usage=usage)
        return self._close(at) + said + self._event("message_stop")

    def whole(self, pieces: Iterable[Piece], cause: str, counts: Counts | None) -> dict[str, Any]:
        content: list[dict[str, Any]] = []
        if thoughts := said(pieces, Think):
            content.append({"type": "thinking", "thinking": thoughts, "signature": "sealed-0"})
        if text := said(pieces, Say):
            content.append({"type": "text", "text": text})
        for piece in pieces:
            if isinstance(piece, Propose):
                given = json.loads("".join(piece.arguments) or "{}")
                call = {"id": piece.call_id, "name": piece.tool, "input": given}
                content.append({"type": "tool_use", **call})
        usage: dict[str, Any] = {}
        if counts is not None:
            usage = {
                "input_tokens": counts.prompt - counts.cached,
                "cache_read_input_tokens": counts.cached,
                "cache_creation_input_tokens": 0,
                "output_tokens": counts.completion,
            }
            if counts.reasoning:
                usage["output_tokens_details"] = {"thinking_tokens": counts.reasoning}
        message = {"id": "msg_1", "type": "message", "model": "served-model", "content": content}
        return {**message, "stop_reason": _MESSAGE_REASONS.get(cause, cause), "usage": usage}

    def error(self, status: int, message: str) -> dict[str, Any]:
        kinds = {429: "rate_limit_error", 401: "authentication_error", 529: "overloaded_error"}
        kind = kinds.get(status, "api_error" if status >= 500 else "invalid_request_error")
        return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req"}

    def broken(self, message: str) -> bytes:
        return self._event("error", error={"type": "overloaded_error", "message": message})

    def _event(self, type: str, **more: object) -> bytes:
        return event({"type": type, **more}, type)

    def _block(self, at: Progress, kind: str, block: dict[str, Any]) -> bytes:
        if at.open_block == kind:
            return b""
        closed = self._close(at)
        at.open_block = kind
        return closed + self._event("content_block_start", index=at.blocks, content_block=block)

    def _delta(self, at: Progress, delta: dict[str, Any]) -> bytes:
        return self._event("content_block_delta", index=at.blocks, delta=delta)

    def _close(self, at: Progress) -> bytes:
        if not at.open_block:
            return b""
        index, kind = at.blocks, at.open_block
        at.blocks, at.open_block = at.blocks + 1, ""
        signature = {"type": "signature_delta", "signature": f"sealed-{index}"}
        seal = self._event("content_block_delta", index=index, delta=signature)
        return (seal if kind == "thinking" else b"") + self._event(
            "content_block_stop", index=index
        )
