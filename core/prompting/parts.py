"""What a prompt is made of: parts, each with its origin, its trust and its right to stay."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum

from core.messages import Part, Role, TextPart


class SourceKind(Enum):
    """The eight sources of a prompt."""

    SYSTEM = "system"
    DEVELOPER = "developer"
    USER = "user"
    HISTORY = "history"
    RETRIEVED = "retrieved"
    TOOL = "tool"
    FORMAT = "format"
    SAFETY = "safety"


class Trust(Enum):
    """Who vouches for a text.

    TRUSTED is written by the operator, CALLER by whoever is authenticated, UNTRUSTED by a
    document, a tool or a third party: it is fenced, and nothing in it is an instruction.
    """

    TRUSTED = "trusted"
    CALLER = "caller"
    UNTRUSTED = "untrusted"


class Priority(IntEnum):
    """What goes first when the window is too small: the lowest.

    Of equals, the earlier goes first, but the later among retrieved passages: they are ranked.
    """

    OLD_HISTORY = 10
    TAIL_PASSAGE = 20
    RECENT_HISTORY = 30
    TOP_PASSAGE = 40
    TOOL_RESULT = 50
    REQUIRED = 100
    """Never dropped; a prompt that is too long with these alone is refused."""


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a part comes from: its kind, and the id there (a chunk's, message's, call's …)."""

    kind: SourceKind
    id: str = ""


@dataclass(frozen=True, slots=True)
class PromptPart:
    """One piece of the prompt.

    `priority` decides what is dropped, lowest first. Parts with the same non-empty `unit` stay
    or go together (an exchange of question and answer, a tool call and its result), with the
    lowest priority among them. `alone` keeps the part a message of its own; else neighbours
    of one role become one message, a blank line between them.
    """

    role: Role
    content: tuple[Part, ...]
    source: Provenance
    trust: Trust
    priority: int = Priority.REQUIRED
    unit: str = ""
    alone: bool = False

    @classmethod
    def of(
        cls,
        role: Role,
        text: str,
        source: Provenance,
        trust: Trust,
        *,
        priority: int = Priority.REQUIRED,
    ) -> PromptPart:
        """A part of plain text."""
        return cls(role, (TextPart(text),), source, trust, priority)

    @property
    def text(self) -> str:
        """The text parts, one a line."""
        return "\n".join([part.text for part in self.content if isinstance(part, TextPart)])

    @property
    def required(self) -> bool:
        """Whether the prompt makes no sense, or is not safe, without it."""
        return self.priority >= Priority.REQUIRED
