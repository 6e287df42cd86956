"""What a chat request must keep beyond the types of its fields."""

from __future__ import annotations

from collections.abc import Iterator

from core.chat import ChatRequest, Grounding, Mode
from core.errors import FeatureUnsupported, FieldViolation, InvalidInput
from core.generation import ToolChoice
from core.messages import Message, ReasoningPart, Role
from core.request_ids import request_id_violations


def check_request(request: ChatRequest) -> None:
    """Raise InvalidInput with every violation at once, or FeatureUnsupported for tools."""
    violations = tuple(_violations(request))
    if violations:
        raise InvalidInput(violations)
    if request.mode is Mode.TOOLS:
        raise FeatureUnsupported("this server has no tools; use mode CHAT or RAG", feature="tools")


def _violations(request: ChatRequest) -> Iterator[FieldViolation]:
    yield from _message_violations(request.message)
    yield from _history_violations(request)
    yield from _documents_violations(request)
    yield from _option_violations(request)
    yield from request_id_violations(request.request_id)


def _message_violations(message: Message) -> Iterator[FieldViolation]:
    if message.role is not Role.USER:
        yield FieldViolation("message.role", "must be USER, or left out")
    if not message.text.strip():
        yield FieldViolation("message.parts", "holds no text; say what is asked")


def _history_violations(request: ChatRequest) -> Iterator[FieldViolation]:
    if request.messages and request.conversation is not None:
        yield FieldViolation("messages", "only without `conversation`, which has its own history")
    if request.parent_message is not None and request.conversation is None:
        yield FieldViolation("parent_message", "only with `conversation`")
    for index, message in enumerate(request.messages):
        if message.role is Role.SYSTEM and index > 0:
            yield FieldViolation(f"messages[{index}].role", "SYSTEM is only for the first")
        if any(isinstance(part, ReasoningPart) for part in message.parts):
            yield FieldViolation(f"messages[{index}].parts", "hold thoughts: ModelService only")


def _option_violations(request: ChatRequest) -> Iterator[FieldViolation]:
    """What a turn would not heed is not taken."""
    options = request.options
    if options.tool_choice is ToolChoice.ONE or options.chosen_tool:
        yield FieldViolation("options.chosen_tool", "only where the request has tools of its own")
    if options.parallel_tool_calls is not None:
        yield FieldViolation("options.parallel_tool_calls", "only where the request has tools")
    if options.logprobs is not None:
        yield FieldViolation("options.logprobs", "only in ModelService: a turn's log has none")


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
