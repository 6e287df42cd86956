"""What can be asked for, and the request that it becomes."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict

from google.protobuf.duration_pb2 import Duration

from colonnade.client.names import (
    collection_name,
    conversation_name,
    document_filter,
    message_name,
    user_message,
)
from colonnade.v1.chat_pb2 import ChatMode, ChatRequest, Grounding, PromptReference
from colonnade.v1.messages_pb2 import Message
from colonnade.v1.models_pb2 import GenerationOptions, ModelConstraints

LINGER = 10.0
"""Seconds that a turn waits for this client to come back after a broken connection."""


class GenerationFields(TypedDict, total=False):
    """How the model writes. What is left out is the deployment's own."""

    temperature: float
    """Randomness, 0 to 2."""
    top_p: float
    """Nucleus sampling, above 0 up to 1."""
    max_output_tokens: int
    """The most tokens to write."""
    stop: Sequence[str]
    """At most 8 texts at which to stop."""
    seed: int
    """Seed of the sampling, 0 or more."""
    response_schema: str | Mapping[str, Any]
    """JSON Schema that the answer must satisfy, as JSON text or as what `json` makes of it."""
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high"]
    """How long a reasoning model thinks."""
    reasoning_tokens: int
    """The same as a number of tokens, in place of `reasoning_effort`."""


class ChatFields(GenerationFields, total=False):
    """What a question may come with. `proto/colonnade/v1/chat.proto` has limits and defaults."""

    conversation: str
    """Name or id of the conversation. Without one, the turn is stateless."""
    parent_message: str
    """Name or id of the message to follow, `root` for a new beginning."""
    history: Sequence[Message]
    """The messages before, of a stateless turn."""
    mode: Literal["chat", "rag", "tools"]
    """What the answer may use; `rag` if collections are given, else `chat`."""
    collections: Sequence[str]
    """Names or ids of the collections to search."""
    where: Mapping[str, str | Sequence[str]]
    """Attributes that documents must have, each with the values that will do."""
    model: str
    """A deployment or a route."""
    constraints: ModelConstraints
    """What the model may be chosen by."""
    prompt: str
    """A template's name or exact version."""
    inputs: Mapping[str, str]
    """Values for the template's inputs; only with `prompt`."""
    grounding: Literal["off", "sentence", "final"]
    """How strictly the answer is tied to the documents."""
    feature: str
    """What the cost is booked under."""
    detach: bool
    """True for a turn that goes on when nobody reads it."""
    linger: float
    """Seconds that the turn goes on after its last reader left; 10 here."""
    turn_timeout: float
    """The most seconds that a detached turn may take."""
    accept_retractions: bool
    """True for a reader that can take text back; true for `ask`, false for `stream`."""
    language: str
    """BCP 47 tag of the answer's language."""
    request_id: str
    """Idempotency key; a fresh one by default."""


def chat_request(message: str | Message, fields: ChatFields) -> ChatRequest:
    """The request. Raises TypeError for a field that there is none of, ValueError for a value."""
    check_names(fields, ChatFields)
    conversation = conversation_name(fields.get("conversation", ""))
    request = ChatRequest(
        request_id=fields.get("request_id") or new_request_id(),
        conversation=conversation,
        parent_message=message_name(conversation, fields.get("parent_message", "")),
        messages=fields.get("history", ()),
        message=user_message(message),
        collections=[collection_name(id) for id in fields.get("collections", ())],
        filter=document_filter(fields.get("where")),
        model=fields.get("model", ""),
        constraints=fields.get("constraints"),
        options=generation_options(fields),
        feature=fields.get("feature", ""),
        detach=fields.get("detach", False),
        linger=_linger(fields),
        turn_timeout=_duration(fields.get("turn_timeout")),
        accept_retractions=fields.get("accept_retractions", False),
        language=fields.get("language", ""),
    )
    _add_choices(request, fields)
    return request


def _add_choices(request: ChatRequest, fields: ChatFields) -> None:
    if "mode" in fields:
        request.mode = ChatMode.Value(f"CHAT_MODE_{fields['mode'].upper()}")
    if "grounding" in fields:
        request.grounding = Grounding.Value(f"GROUNDING_{fields['grounding'].upper()}")
    if "prompt" in fields or "inputs" in fields:
        reference = PromptReference(prompt=fields.get("prompt", ""), inputs=fields.get("inputs"))
        request.prompt.CopyFrom(reference)


def generation_options(fields: GenerationFields) -> GenerationOptions | None:
    """The options that are given; None where there are none."""
    given = {name: fields[name] for name in _OPTIONS if name in fields}  # type: ignore[literal-required]  # the names are those of the TypedDict
    schema = given.get("response_schema", "")
    if not isinstance(schema, str):
        given["response_schema"] = json.dumps(schema)
    if effort := given.get("reasoning_effort"):
        given["reasoning_effort"] = f"REASONING_EFFORT_{effort.upper()}"
    return GenerationOptions(**given) if given else None


_OPTIONS = sorted(GenerationFields.__optional_keys__)


def check_names(fields: Mapping[str, object], kind: type) -> None:
    """Refuse misspelt arguments, which a TypedDict alone lets through at run time."""
    known: frozenset[str] = kind.__optional_keys__  # type: ignore[attr-defined]  # of a TypedDict
    unknown = sorted(fields.keys() - known)
    if unknown:
        raise TypeError(f"no such argument: {', '.join(unknown)}; there are {sorted(known)}")


def new_request_id() -> str:
    """A fresh idempotency key."""
    return str(uuid.uuid4())


def _linger(fields: ChatFields) -> Duration | None:
    if fields.get("detach") and "linger" not in fields:
        return None
    return _duration(fields.get("linger", LINGER))


def _duration(seconds: float | None) -> Duration | None:
    if seconds is None:
        return None
    duration = Duration()
    duration.FromNanoseconds(round(seconds * 1e9))
    return duration
