"""A prompt as a value: what is sent, what it was made of, and what found no room."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from core.knowledge import Passage
from core.messages import Message, Part, TextPart
from core.prompting.parts import PromptPart, SourceKind


@dataclass(frozen=True, slots=True)
class Prompt:
    """A rendered prompt. `tokens` is its count by the model's own counter, at most `budget`."""

    messages: tuple[Message, ...]
    kept: tuple[PromptPart, ...]
    dropped: tuple[PromptPart, ...]
    tokens: int
    budget: int

    def as_dict(self) -> dict[str, object]:
        """Plain values, to store and to compare; equal for equal prompts."""
        return {
            "messages": [_message_dict(message) for message in self.messages],
            "kept": [_part_dict(part) for part in self.kept],
            "dropped": [_part_dict(part) for part in self.dropped],
            "tokens": self.tokens,
            "budget": self.budget,
        }

    def dropped_sources(self) -> tuple[str, ...]:
        """What found no room, as `kind:id`."""
        return tuple(f"{part.source.kind.value}:{part.source.id}" for part in self.dropped)

    def passages(self, passages: Sequence[Passage]) -> tuple[Passage, ...]:
        """Those of the passages that the model sees, under their citation numbers from 1.

        Passages are dropped from the lowest rank on, so the numbers stay as they were.
        """
        seen = {p.source.id for p in self.kept if p.source.kind is SourceKind.RETRIEVED}
        return tuple(passage for passage in passages if passage.chunk.id in seen)


def render(parts: Sequence[PromptPart]) -> tuple[Message, ...]:
    """The messages of these parts: neighbours of one role together, unless they stand alone."""
    messages: list[Message] = []
    open_to_more = False
    for part in parts:
        if open_to_more and not part.alone and messages[-1].role is part.role:
            messages[-1] = Message(part.role, _joined(messages[-1].parts, part.content))
        else:
            messages.append(Message(part.role, part.content))
        open_to_more = not part.alone
    return tuple(messages)


def _joined(first: tuple[Part, ...], second: tuple[Part, ...]) -> tuple[Part, ...]:
    if first and second and isinstance(first[-1], TextPart) and isinstance(second[0], TextPart):
        middle = TextPart(f"{first[-1].text}\n\n{second[0].text}")
        return (*first[:-1], middle, *second[1:])
    return first + second


def _message_dict(message: Message) -> dict[str, object]:
    return {"role": message.role.value, "parts": [_content_dict(part) for part in message.parts]}


def _content_dict(part: Part) -> dict[str, object]:
    return {"type": type(part).__name__, **asdict(part)}


def _part_dict(part: PromptPart) -> dict[str, object]:
    return {
        "role": part.role.value,
        "content": [_content_dict(content) for content in part.content],
        "source": {"kind": part.source.kind.value, "id": part.source.id},
        "trust": part.trust.value,
        "priority": int(part.priority),
        "unit": part.unit,
    }
