"""When who could not do its work: the bounds of the protocol count from there."""

from __future__ import annotations

from simulation.loop import SeededLoop

EVERYONE = ""


class Troubles:
    """Spans of time in which a replica, or everyone, was kept from its work by a fault."""

    def __init__(self, loop: SeededLoop) -> None:
        self._loop = loop
        self._spans: list[tuple[str, float, float]] = []
        self._silences: list[tuple[str, float, float]] = []

    def note(self, whose: str, seconds: float = 0.0) -> None:
        """From now on, for so long."""
        now = self._loop.time()
        self._spans.append((whose, now, now + seconds))

    def note_silence(self, whose: str, seconds: float) -> None:
        """The same, of a trouble through which nothing reaches the store."""
        self.note(whose, seconds)
        now = self._loop.time()
        self._silences.append((whose, now, now + seconds))

    def was_out_of_touch(self, whose: str, since: float, longest: float, now: float) -> bool:
        """Whether it could not reach the store for longer than that at a stretch, since then."""
        return any(
            min(until, now) - begin > longest and min(until, now) > since
            for who, begin, until in self._silences
            if who in (EVERYONE, whose)
        )

    def last(self, *whose: str) -> float:
        """When the last trouble of any of these, or of everyone, ended or will end."""
        return max(
            (end for who, _, end in self._spans if who == EVERYONE or who in whose), default=0.0
        )

    def last_of(self, whose: str) -> float:
        """When its own last trouble ended or will end."""
        return max((end for who, _, end in self._spans if who == whose), default=0.0)

    def between(self, begin: float, end: float, *whose: str) -> float:
        """For how many of these seconds any of them, or everyone, had some, at the most."""
        return sum(
            max(0.0, min(end, until) - max(begin, since))
            for who, since, until in self._spans
            if (who == EVERYONE or who in whose) and until >= begin and since <= end
        )

    def any_between(self, begin: float, end: float, *whose: str) -> bool:
        """Whether any of them, or everyone, had some in this span."""
        return any(
            (who == EVERYONE or who in whose) and until >= begin and since <= end
            for who, since, until in self._spans
        )

    def any_trouble_since(self, begin: float) -> bool:
        """Whether anybody had any since then."""
        return any(until >= begin for _, _, until in self._spans)

    def last_of_all(self) -> float:
        """When the last trouble of anybody ended or will end."""
        return max((end for _, _, end in self._spans), default=0.0)

    def quiet_for(self, *whose: str) -> float:
        """For how long none of these had any."""
        return self._loop.time() - self.last(*whose)
