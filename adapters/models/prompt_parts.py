"""Parts of a prompt in the terms that the providers' formats share."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from core.catalog import Deployment
from core.generation import GenerationRequest, ModelError, ModelErrorKind
from core.messages import ImagePart, Message, Role, ToolCallPart, ToolResultPart

SYSTEM_ROLES = frozenset({Role.SYSTEM, Role.DEVELOPER})


@dataclass(frozen=True, slots=True)
class ImageData:
    """An image whose bytes are in the request, in base64."""

    media_type: str
    base64: str


def output_limit(request: GenerationRequest, deployment: Deployment) -> int:
    """How many tokens the answer may have: what is asked for, never beyond the deployment's."""
    wanted = request.options.max_output_tokens or deployment.max_output_tokens
    return min(wanted, deployment.max_output_tokens)


def image_data(part: ImagePart) -> ImageData | None:
    """The image where its address is a `data:` one; None where it lies elsewhere.

    Raises ModelError (BAD_REQUEST) for such an address that cannot be read.
    """
    if not part.uri.startswith("data:"):
        return None
    head, comma, body = part.uri.removeprefix("data:").partition(",")
    media_type, *flags = head.split(";")
    if not comma:
        raise ModelError(ModelErrorKind.BAD_REQUEST, "an image's data: address has no data")
    if "base64" not in flags:
        body = base64.b64encode(unquote_to_bytes(body)).decode()
    try:
        base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        raise ModelError(ModelErrorKind.BAD_REQUEST, "an image's data is not base64") from None
    return ImageData(media_type or part.media_type, body)


def result_text(part: ToolResultPart) -> str:
    """What a tool returned, for formats that cannot say that it failed: then as JSON that does."""
    return (
        json.dumps({"error": part.content}, ensure_ascii=False) if part.is_error else part.content
    )


def arguments_of(call: ToolCallPart) -> dict[str, object]:
    """A call's arguments as an object. What a model made that is none goes as one text."""
    try:
        arguments: object = json.loads(call.arguments or "{}")
    except (ValueError, RecursionError):
        arguments = None
    return arguments if isinstance(arguments, dict) else {"arguments": call.arguments}


def unsealed(seal: str) -> object:
    """What a seal holds, for formats in which it is JSON; None where it is none."""
    try:
        kept: object = json.loads(seal)
    except (ValueError, RecursionError):
        return None
    return kept


def is_begun(request: GenerationRequest) -> bool:
    """Whether the prompt ends with the beginning of the answer, to be continued."""
    last = request.messages[-1] if request.messages else None
    return last is not None and last.role is Role.ASSISTANT and not _proposes(last)


def tools_by_call(messages: Iterable[Message]) -> dict[str, str]:
    """The tool of each call, by the call's id: some formats name it again at the result."""
    return {
        part.call_id: part.tool
        for message in messages
        for part in message.parts
        if isinstance(part, ToolCallPart)
    }


def _proposes(message: Message) -> bool:
    return any(isinstance(part, ToolCallPart) for part in message.parts)
