"""The first words of an answer, held back a little; and the seam where one goes on from another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from core.generation import TextDelta
from core.identifiers import Seconds
from core.ports.model_gateway import Said


class Held:
    """Holds what comes within the first `seconds` of an answer, so that nobody has seen it yet."""

    def __init__(self, seconds: Seconds) -> None:
        self._seconds = seconds
        self._kept: list[Said] = []
        self._since: Seconds | None = None
        self.is_open = self._seconds <= 0

    def put(self, piece: Said | None, now: Seconds) -> Sequence[Said]:
        """The next piece has come; what may go out."""
        if piece is None:
            return ()
        if self.is_open:
            return (piece,)
        if self._since is None:
            self._since = now
        self._kept.append(piece)
        if now - self._since < self._seconds:
            return ()
        self.is_open = True
        return self.rest()

    def rest(self) -> Sequence[Said]:
        """All that is still held; the answer has ended well."""
        kept, self._kept = self._kept, []
        return kept


class Seam:
    """Blanks that were released at the end of one text are not released again by the next.

    A text to go on from is sent without the blanks at its end, since models refuse those; so they
    begin with them anew.
    """

    def __init__(self, released: str) -> None:
        self._blanks = released[len(released.rstrip()) :]

    @property
    def is_closed(self) -> bool:
        """Whether every further piece passes as it is."""
        return not self._blanks

    def join(self, piece: Said) -> Said | None:
        """The piece without blanks that stand there already; None where nothing is left."""
        if not self._blanks or not isinstance(piece, TextDelta) or not piece.text:
            return piece
        text = piece.text
        while text and self._blanks and text[0].isspace():
            text, self._blanks = text[1:], self._blanks[1:]
        if text:
            self._blanks = ""
        return replace(piece, text=text) if text else None
