"""What a chat request must keep beyond the types of its fields."""

from __future__ import annotations

from collections.abc import Iterator

from core.chat import MAX_TEXT, ChatRequest, Grounding, Mode
from core.errors import FeatureUnsupported, FieldViolation, InvalidInput
from core.messages import Message, Role, TextPart

_PRINTABLE = range(0x21, 0x7F)


def check_request(request: ChatRequest) -> None:
    """Raise InvalidInput with every violation at once, or FeatureUnsupported for tools."""
    violations = tuple(_violations(request))
    if violations:
        raise InvalidInput(violations)
    if request.effective_mode is Mode.TOOLS:
        raise FeatureUnsupported("this server has no tools; use mode CHAT or RAG", feature="tools")


def _violations(request: ChatRequest) -> Iterator[FieldViolation]:
    yield from _message_violations(request.message)
    yield from _history_violations(request)
    yield from _documents_violations(request)
    if any(ord(char) not in _PRINTABLE for char in request.request_id):
        yield FieldViolation("request_id", "must be printable ASCII without blanks; use a UUID")


def _message_violations(message: Message) -> Iterator[FieldViolation]:
    if message.role is not Role.USER:
        yield FieldViolation("message.role", "must be USER, or left out")
    if not message.text.strip():
        yield FieldViolation("message.parts", "holds no text; say what is asked")
    yield from _too_long(message, "message")


def _history_violations(request: ChatRequest) -> Iterator[FieldViolation]:
    if request.messages and request.conversation is not None:
        yield FieldViolation("messages", "only without `conversation`, which has its own history")
    if request.parent_message is not None and request.conversation is None:
        yield FieldViolation("parent_message", "only with `conversation`")
    for index, message in enumerate(request.messages):
        if message.role is Role.SYSTEM and index > 0:
            yield FieldViolation(f"messages[{index}].role", "SYSTEM is only for the first")
        yield from _too_long(message, f"messages[{index}]")


def _documents_violations(request: ChatRequest) -> Iterator[FieldViolation]:
    if request.effective_mode is not Mode.CHAT:
        if len(set(request.collections)) < len(request.collections):
            yield FieldViolation("collections", "names one twice")
        return
    if request.collections:
        yield FieldViolation("collections", "only in mode RAG; leave it out, or set the mode")
    if request.filter.allowed:
        yield FieldViolation("filter", "only where documents are searched: mode RAG")
    if request.grounding not in (None, Grounding.OFF):
        yield FieldViolation("grounding", "only where documents are searched: mode RAG")


def _too_long(message: Message, field: str) -> Iterator[FieldViolation]:
    for index, part in enumerate(message.parts):
        if isinstance(part, TextPart) and len(part.text) > MAX_TEXT:
            yield FieldViolation(
                f"{field}.parts[{index}].text",
                f"has {len(part.text)} characters; at most {MAX_TEXT}",
            )
