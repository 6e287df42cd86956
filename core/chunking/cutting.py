"""Cutting what is too long: at the ends of sentences, else between words, else anywhere."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, replace

from core.chunking.layout import Measure, Piece
from core.text.sentences import sentences

_WINDOW = 8_192
"""Characters that are looked at together, so that time stays linear in the length of a text."""
_SHORT = 64
"""Characters of a piece of a sentence that is itself too long for a chunk."""
_TO_A_BOUNDARY = re.compile(rf"(?s).{{0,{_SHORT - 1}}}[\s,;:，、；：。！？]")
_JOINERS = frozenset("\u200d\ufe0e\ufe0f\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff")


@dataclass(frozen=True, slots=True)
class Cutter:
    """Cuts pieces of `text` so that none has more than `max_tokens`."""

    text: str
    measure: Measure
    max_tokens: int

    def sentences(self, piece: Piece) -> Iterator[Piece]:
        """The sentences of a piece, and of a sentence that is too long its parts."""
        for start, end in self._windows(piece):
            at = start
            for sentence in sentences(self.text[start:end]):
                yield from self._fitting(piece, at, start + sentence.end)
                at = start + sentence.end
            yield from self._fitting(piece, at, end)

    def last_sentences(self, piece: Piece, tokens: int) -> Piece | None:
        """As many whole sentences from the end of a piece as `tokens` allow, or None."""
        tail = max(piece.start, piece.end - _WINDOW)
        found = sentences(self.text[tail : piece.end])
        last: Piece | None = None
        for sentence in reversed(found):
            grown = self._piece(piece, tail + sentence.start, piece.end)
            cut_off = tail > piece.start and sentence is found[0]
            if grown is None or grown.tokens > tokens or cut_off:
                break
            last = grown
        return last

    def _windows(self, piece: Piece) -> Iterator[tuple[int, int]]:
        at = piece.start
        while piece.end - at > _WINDOW:
            cut = self._window_end(at)
            yield at, cut
            at = cut
        yield at, piece.end

    def _window_end(self, at: int) -> int:
        """A line's end in the second half of the window, else a space, else anywhere."""
        for boundary in ("\n", " "):
            found = self.text.rfind(boundary, at + _WINDOW // 2, at + _WINDOW)
            if found > 0:
                return found + 1
        return _whole_character(self.text, at, at + _WINDOW)

    def _fitting(self, piece: Piece, start: int, end: int) -> Iterator[Piece]:
        part = self._piece(piece, start, end)
        if part is None:
            return
        if part.tokens <= self.max_tokens:
            yield part
            return
        at = part.start
        while at < part.end:
            cut = self._short_end(at, part.end)
            yield from self._halved(piece, at, cut)
            at = cut

    def _short_end(self, at: int, end: int) -> int:
        if end - at <= _SHORT:
            return end
        found = _TO_A_BOUNDARY.match(self.text, at, end)
        return found.end() if found else _whole_character(self.text, at, at + _SHORT)

    def _halved(self, piece: Piece, start: int, end: int) -> Iterator[Piece]:
        """Halves of halves, for a measure by which even a few characters are too many."""
        part = self._piece(piece, start, end)
        if part is None:
            return
        if part.tokens <= self.max_tokens or part.end - part.start == 1:
            yield part
            return
        middle = _whole_character(self.text, part.start, (part.start + part.end) // 2)
        yield from self._halved(piece, part.start, middle)
        yield from self._halved(piece, middle, part.end)

    def _piece(self, piece: Piece, start: int, end: int) -> Piece | None:
        """The stretch without the white space around it; None if nothing is left."""
        raw = self.text[start:end]
        text = raw.strip()
        if not text:
            return None
        start += len(raw) - len(raw.lstrip())
        return replace(piece, start=start, end=start + len(text), tokens=self.measure(text))


def _whole_character(text: str, start: int, cut: int) -> int:
    """A cut at or before `cut` that parts no letter from its accents and no emoji in two."""
    for at in range(cut, max(start, cut - 16), -1):
        follower = text[at]
        if not (
            unicodedata.combining(follower) or follower in _JOINERS or text[at - 1] == "\u200d"
        ):
            return at
    return cut
