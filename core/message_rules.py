"""What a caller's message must keep beyond the types of its fields."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from core.errors import FieldViolation
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

MAX_TEXT = 200_000
"""Characters of all text parts of a message together, and of a tool's result."""
_MAX_ARGUMENTS = 100_000
_MAX_DATA_URI = 1024 * 1024
_MEDIA_TYPES = ("image/png", "image/jpeg", "image/webp", "image/gif")
_CALL_ID = re.compile(r".{1,128}", re.DOTALL)
_TOOL = re.compile(r"[A-Za-z0-9_.-]{1,128}")
_MAX_FORMAT = 64
_SPEAKER = {
    ImagePart: Role.USER,
    ToolCallPart: Role.ASSISTANT,
    ToolResultPart: Role.TOOL,
    ReasoningPart: Role.ASSISTANT,
}


def message_violations(message: Message, field: str) -> Iterator[FieldViolation]:
    """What is wrong with the message that stands at the path `field`."""
    if not any(_says_something(part) for part in message.parts):
        yield FieldViolation(f"{field}.parts", "is blank; say something")
        return
    room = MAX_TEXT
    for index, part in enumerate(message.parts):
        at = f"{field}.parts[{index}]"
        speaker = _SPEAKER.get(type(part))
        if speaker is not None and message.role is not speaker:
            yield FieldViolation(at, f"is only for messages of {speaker.name}")
        yield from _part_violations(part, at)
        if isinstance(part, TextPart):
            if len(part.text) > room:
                yield FieldViolation(
                    f"{at}.text",
                    f"is too long: the texts of a message have at most {MAX_TEXT} characters "
                    f"together, and this one has {len(part.text)}",
                )
            room = max(0, room - len(part.text))


def _says_something(part: Part) -> bool:
    if isinstance(part, TextPart):
        return bool(part.text.strip())
    return not isinstance(part, ReasoningPart)


def _part_violations(part: Part, at: str) -> Iterator[FieldViolation]:
    match part:
        case TextPart(text):
            if not text:
                yield FieldViolation(f"{at}.text", "is empty")
        case ImagePart():
            yield from _image_violations(part, f"{at}.image")
        case ToolCallPart():
            yield from _tool_call_violations(part, f"{at}.tool_call")
        case ToolResultPart():
            yield from _result_violations(part, f"{at}.tool_result")
        case ReasoningPart():
            yield from _thoughts_violations(part, f"{at}.thoughts")


def _image_violations(image: ImagePart, at: str) -> Iterator[FieldViolation]:
    if not _is_image_uri(image.uri):
        yield FieldViolation(
            f"{at}.uri", "must be an https: address, or a data: address up to 1 MiB"
        )
    if image.media_type not in _MEDIA_TYPES:
        yield FieldViolation(f"{at}.media_type", f"must be one of {', '.join(_MEDIA_TYPES)}")


def _result_violations(result: ToolResultPart, at: str) -> Iterator[FieldViolation]:
    yield from _call_id_violations(result.call_id, at)
    if len(result.content) > MAX_TEXT:
        yield FieldViolation(f"{at}.content", f"must have at most {MAX_TEXT} characters")


def _thoughts_violations(thoughts: ReasoningPart, at: str) -> Iterator[FieldViolation]:
    if not 1 <= len(thoughts.wire) <= _MAX_FORMAT:
        yield FieldViolation(f"{at}.format", f"must be 1 to {_MAX_FORMAT} characters")
    for name, value in (("text", thoughts.text), ("seal", thoughts.seal)):
        if len(value) > MAX_TEXT:
            yield FieldViolation(f"{at}.{name}", f"must have at most {MAX_TEXT} characters")


def _tool_call_violations(call: ToolCallPart, at: str) -> Iterator[FieldViolation]:
    yield from _call_id_violations(call.call_id, at)
    if not _TOOL.fullmatch(call.tool):
        yield FieldViolation(f"{at}.tool", "must be 1 to 128 characters of A-Z a-z 0-9 _ . -")
    if len(call.arguments) > _MAX_ARGUMENTS or not is_json_object(call.arguments):
        yield FieldViolation(
            f"{at}.arguments_json",
            f"must be a JSON object of at most {_MAX_ARGUMENTS} characters",
        )


def is_json_object(text: str) -> bool:
    """Whether the text is a JSON object."""
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def _is_image_uri(uri: str) -> bool:
    if uri.startswith("data:"):
        return len(uri) <= _MAX_DATA_URI
    return uri.startswith("https://") and len(uri) <= 2048


def _call_id_violations(call_id: str, at: str) -> Iterator[FieldViolation]:
    if not _CALL_ID.fullmatch(call_id):
        yield FieldViolation(f"{at}.call_id", "must be 1 to 128 characters")
