"""What is said in a conversation: messages of typed parts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from core.grounding.citations import Citation
from core.identifiers import ConversationId, MessageId, TurnId


class Role(Enum):
    """Who speaks."""

    SYSTEM = "system"
    DEVELOPER = "developer"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


@dataclass(frozen=True, slots=True)
class TextPart:
    """Plain text."""

    text: str


@dataclass(frozen=True, slots=True)
class ImagePart:
    """A reference to an image: its URI and media type. The bytes are not ours."""

    uri: str
    media_type: str


@dataclass(frozen=True, slots=True)
class ToolCallPart:
    """A model's proposal to call a tool, with its arguments as JSON text."""

    call_id: str
    tool: str
    arguments: str


@dataclass(frozen=True, slots=True)
class ToolResultPart:
    """What the tool returned for `call_id`, as text; `is_error` when it failed."""

    call_id: str
    content: str
    is_error: bool = False


@dataclass(frozen=True, slots=True)
class ReasoningPart:
    """A model's thoughts, kept because its provider wants them back before what followed.

    `seal` is what the provider proves them by, and `wire` the format that it came in; to another
    the part means nothing, and is left out. Nobody reads it as something that was said.
    """

    text: str
    seal: str = ""
    wire: str = ""


Part = TextPart | ImagePart | ToolCallPart | ToolResultPart | ReasoningPart


@dataclass(frozen=True, slots=True)
class Message:
    """One message: a role and its parts, in order."""

    role: Role
    parts: tuple[Part, ...]

    @classmethod
    def of(cls, role: Role, text: str) -> Message:
        """A message of one text part."""
        return cls(role, (TextPart(text),))

    @property
    def text(self) -> str:
        """The text parts, one a line."""
        parts = self.parts
        if len(parts) == 1 and type(only := parts[0]) is TextPart:  # as nearly always
            return only.text
        return "\n".join([part.text for part in parts if isinstance(part, TextPart)])


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """A message in its conversation. Its parent is the message that it answers or follows.

    A conversation is a tree: two children of one message are two branches. `parent` is None for
    a first message. `partial` marks an answer that was cut short; `citations` and `model` belong
    to an answer, and their offsets are into its text.
    """

    id: MessageId
    conversation: ConversationId
    parent: MessageId | None
    message: Message
    created_at: datetime
    turn: TurnId | None = None
    partial: bool = False
    citations: tuple[Citation, ...] = ()
    model: str = ""
