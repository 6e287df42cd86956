"""The spellings of OpenAI's Responses and of Google's generateContent."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from fakes.provider_formats import (
    AzureFormat,
    Body,
    ChatFormat,
    Counts,
    MessagesFormat,
    Piece,
    Progress,
    Propose,
    ProviderFormat,
    Say,
    Think,
    event,
    texts,
)
from fakes.provider_formats_rerank import RerankFormat, TeiFormat


class ResponsesFormat:
    """OpenAI's Responses."""

    name = "responses"
    path = "/v1/responses"

    def prompt(self, body: Body) -> str:
        return " ".join(texts(body["input"]))

    def limit(self, body: Body) -> int:
        return int(body["max_output_tokens"])

    def begin(self, body: Body, counts: Counts, at: Progress) -> bytes:
        response = self._response("in_progress", None, [])
        return self._event("created", response=response) + self._event(
            "in_progress", response=response
        )

    def piece(self, piece: Piece, at: Progress) -> bytes:
        match piece:
            case Say(text):
                item = {"type": "message", "role": "assistant", "content": []}
                begun = self._item(at, "message", item)
                return begun + self._delta(at, "output_text.delta", text)
            case Think(text):
                begun = self._item(at, "reasoning", {"type": "reasoning", "summary": []})
                return begun + self._delta(at, "reasoning_summary_text.delta", text)
            case Propose(call_id, tool, arguments):
                call = {"call_id": call_id, "name": tool, "arguments": ""}
                begun = self._close(at) + self._item(at, "call", {"type": "function_call", **call})
                at.items[-1]["arguments"] = "".join(arguments)
                name = "function_call_arguments.delta"
                return begun + b"".join(self._delta(at, name, text) for text in arguments)

    def end(self, cause: str, counts: Counts | None, at: Progress) -> bytes:
        closed = self._close(at)
        status = "completed" if cause in ("stop", "tool_calls") else "incomplete"
        response = self._response(status, counts, at.items)
        if status == "incomplete":
            reason = {"length": "max_output_tokens"}.get(cause, cause)
            response["incomplete_details"] = {"reason": reason}
        return closed + self._event(status, response=response)

    def whole(self, pieces: Iterable[Piece], cause: str, counts: Counts | None) -> dict[str, Any]:
        at = Progress()
        for piece in pieces:
            self.piece(piece, at)
            if isinstance(piece, Say | Think):
                thinks = isinstance(piece, Think)
                parts = at.items[-1]["summary" if thinks else "content"]
                before = parts.pop()["text"] if parts else ""
                kind = "summary_text" if thinks else "output_text"
                parts.append({"type": kind, "text": before + piece.text})
        self._close(at)
        status = "completed" if cause in ("stop", "tool_calls") else "incomplete"
        response = self._response(status, counts, at.items)
        if status == "incomplete":
            reason = {"length": "max_output_tokens"}.get(cause, cause)
            response["incomplete_details"] = {"reason": reason}
        return response

    def error(self, status: int, message: str) -> dict[str, Any]:
        return ChatFormat().error(status, message)

    def broken(self, message: str) -> bytes:
        value = {"type": "error", "code": "server_error", "message": message, "param": None}
        return event(value, "error")

    def _event(self, type: str, **more: object) -> bytes:
        return event({"type": f"response.{type}", **more}, f"response.{type}")

    def _response(
        self, status: str, counts: Counts | None, items: list[dict[str, Any]]
    ) -> dict[str, Any]:
        usage = None
        if counts is not None:
            usage = {
                "input_tokens": counts.prompt,
                "input_tokens_details": {"cached_tokens": counts.cached},
                "output_tokens": counts.completion,
                "output_tokens_details": {"reasoning_tokens": counts.reasoning},
            }
        head = {"id": "resp_1", "object": "response", "model": "served-model"}
        return {**head, "status": status, "error": None, "output": items, "usage": usage}

    def _item(self, at: Progress, kind: str, item: dict[str, Any]) -> bytes:
        if at.open_block == kind:
            return b""
        closed = self._close(at)
        at.open_block = kind
        at.items.append({"id": f"item_{len(at.items)}", **item})
        number = len(at.items) - 1
        return closed + self._event("output_item.added", output_index=number, item=at.items[-1])

    def _delta(self, at: Progress, type: str, text: str) -> bytes:
        number = len(at.items) - 1
        where = {"output_index": number, "item_id": f"item_{number}"}
        return self._event(type, delta=text, **where)

    def _close(self, at: Progress) -> bytes:
        if not at.open_block:
            return b""
        kind, at.open_block = at.open_block, ""
        if kind == "reasoning":
            at.items[-1]["encrypted_content"] = f"sealed-{len(at.items) - 1}"
        return self._event("output_item.done", output_index=len(at.items) - 1, item=at.items[-1])


class GeminiFormat:
    """Google's generateContent, streamed with `alt=sse`."""

    name = "gemini"
    path = "/v1beta/models/{deployment}:{method:(streamG|g)enerateContent}"

    def prompt(self, body: Body) -> str:
        return " ".join([*texts(body.get("systemInstruction", {})), *texts(body["contents"])])

    def limit(self, body: Body) -> int:
        return int(body["generationConfig"]["maxOutputTokens"])

    def begin(self, body: Body, counts: Counts, at: Progress) -> bytes:
        return b""

    def piece(self, piece: Piece, at: Progress) -> bytes:
        return self._chunk(self._part(piece))

    def _part(self, piece: Piece) -> dict[str, Any]:
        match piece:
            case Say(text):
                return {"text": text}
            case Think(text):
                return {"text": text, "thought": True}
            case Propose(_, tool, arguments):
                call = {"name": tool, "args": json.loads("".join(arguments) or "{}")}
                return {"functionCall": call, "thoughtSignature": f"sealed-{tool}"}

    def whole(self, pieces: Iterable[Piece], cause: str, counts: Counts | None) -> dict[str, Any]:
        parts = [self._part(piece) for piece in pieces]
        chunk: dict[str, Any] = json.loads(self.end(cause, counts, Progress())[6:])
        chunk["candidates"][0]["content"]["parts"] = parts
        return chunk

    def end(self, cause: str, counts: Counts | None, at: Progress) -> bytes:
        reasons = {"length": "MAX_TOKENS", "content_filter": "SAFETY"}
        chunk: dict[str, Any] = self._head()
        finish = reasons.get(cause, "STOP" if cause in ("stop", "tool_calls") else cause)
        chunk["candidates"] = [{"content": {"role": "model"}, "finishReason": finish, "index": 0}]
        if counts is not None:
            chunk["usageMetadata"] = {
                "promptTokenCount": counts.prompt,
                "candidatesTokenCount": counts.completion - counts.reasoning,
                "thoughtsTokenCount": counts.reasoning,
                "cachedContentTokenCount": counts.cached,
            }
        return event(chunk)

    def error(self, status: int, message: str) -> dict[str, Any]:
        names = {429: "RESOURCE_EXHAUSTED", 503: "UNAVAILABLE", 400: "INVALID_ARGUMENT"}
        return {"error": {"code": status, "message": message, "status": names.get(status, "X")}}

    def broken(self, message: str) -> bytes:
        return event({"error": {"code": 503, "message": message, "status": "UNAVAILABLE"}})

    def _head(self) -> dict[str, Any]:
        return {"responseId": "resp-1", "modelVersion": "served-model"}

    def _chunk(self, part: dict[str, Any]) -> bytes:
        content = {"role": "model", "parts": [part]}
        return event({**self._head(), "candidates": [{"content": content, "index": 0}]})


FORMATS: dict[str, ProviderFormat] = {
    spelling.name: spelling
    for spelling in (
        ChatFormat(),
        AzureFormat(),
        MessagesFormat(),
        ResponsesFormat(),
        GeminiFormat(),
        RerankFormat(),
        TeiFormat(),
    )
}
"""Every format by its name."""
