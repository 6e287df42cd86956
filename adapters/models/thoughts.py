"""Thoughts that a server leaves in the text, between tags, told apart from the answer."""

from __future__ import annotations

from core.generation import ReasoningDelta, TextDelta

TAGS = (
    ("<think>", "</think>"),  # DeepSeek R1, Qwen 3, most open models
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<reasoning>", "</reasoning>"),
    ("<seed:think>", "</seed:think>"),
    ("[THINK]", "[/THINK]"),  # Magistral
    ("<|START_THINKING|>", "<|END_THINKING|>"),  # Command A
)
"""How thoughts begin and end in the models' own templates."""

_FIRST = frozenset(opening[0] for opening, _ in TAGS)


class ThoughtSplitter:
    """Splits text that comes in pieces of any size.

    Thoughts open only where the answer begins, or right after other thoughts: a tag further on is
    text that the model writes about tags. `opened` is for models whose template opens the tag in
    the prompt, so that only its end comes. White space around the tags belongs to them. Text is
    held back only as long as it may still become a tag.
    """

    def __init__(self, *, opened: bool = False) -> None:
        self._held = ""
        self._closing = TAGS[0][1] if opened else ""
        self._may_open = not opened
        self._blank_before = False  # white space is still part of the tag before it

    def feed(self, text: str) -> list[TextDelta | ReasoningDelta]:
        """What is certain after this much text."""
        self._held += text
        made: list[TextDelta | ReasoningDelta] = []
        while self._held and (piece := self._step()) is not None:
            if piece.text:
                made.append(piece)
        return made

    def end(self) -> list[TextDelta | ReasoningDelta]:
        """What was still held back, at the end of the answer."""
        rest, self._held = self._held, ""
        if not rest or (self._blank_before and not rest.strip()):
            return []
        return [ReasoningDelta(rest) if self._closing else TextDelta(rest)]

    def _step(self) -> TextDelta | ReasoningDelta | None:
        """The next certain piece, empty for a tag alone; None where more has to come."""
        if self._blank_before:
            self._held = self._held.lstrip()
            if not self._held:
                return None
        if self._closing:
            return self._thought()
        if self._may_open:
            return self._opening()
        return self._plain()

    def _thought(self) -> ReasoningDelta | None:
        self._blank_before = False
        thought, closed, rest = self._held.partition(self._closing)
        if closed:
            self._held, self._closing = rest, ""
            self._may_open = self._blank_before = True
            return ReasoningDelta(thought.rstrip())
        certain = len(thought) - _overlap(thought, self._closing)
        certain = len(thought[:certain].rstrip())
        if not certain:
            return None
        self._held = thought[certain:]
        return ReasoningDelta(thought[:certain])

    def _opening(self) -> TextDelta | None:
        begun = self._held.lstrip()
        if begun and begun[0] not in _FIRST:
            return self._plain()
        for opening, closing in TAGS:
            if begun.startswith(opening):
                self._held, self._closing = begun[len(opening) :], closing
                self._blank_before = True
                return TextDelta("")
        if any(opening.startswith(begun) for opening, _ in TAGS):
            return None  # white space, or the beginning of a tag
        return self._plain()

    def _plain(self) -> TextDelta:
        self._may_open = self._blank_before = False
        whole, self._held = self._held, ""
        return TextDelta(whole)


def _overlap(text: str, tag: str) -> int:
    """How many of the last characters may be the beginning of the tag."""
    for length in range(min(len(tag) - 1, len(text)), 0, -1):
        if text.endswith(tag[:length]):
            return length
    return 0
