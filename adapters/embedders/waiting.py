"""The line in front of a blocking model: who is served next, and who together with them."""

from __future__ import annotations

import heapq
from concurrent.futures import Future
from dataclasses import dataclass, field
from queue import Full
from threading import Condition
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from adapters.embedders.batching import BatchLimits
    from core.ports.embedder import Embedded, TextKind


@dataclass(frozen=True, slots=True, order=True)
class Job:
    """One batch of one caller. Queries come first, then who came first."""

    priority: int
    number: int
    texts: Sequence[str] = field(compare=False)
    kind: TextKind = field(compare=False)
    result: Future[Embedded] = field(compare=False)

    @property
    def longest(self) -> int:
        """Characters of its longest text."""
        return max((len(text) for text in self.texts), default=0)


class Line:
    """Jobs that wait, a bounded number. Filled on any thread, emptied on the model's."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._jobs: list[Job] = []
        self._changed = Condition()
        self._closed = False

    def put(self, job: Job) -> None:
        """Wait in line. Raises Full."""
        with self._changed:
            if len(self._jobs) >= self._most:
                raise Full
            heapq.heappush(self._jobs, job)
            self._changed.notify()

    def take(self, limits: BatchLimits) -> list[Job]:
        """Those that are to be encoded together, once there are any; none once it is closed.

        The next in line, and those right behind it, of whatever caller, that fit into one batch
        with it. Nobody is waited for: a batch is large when many wait, and small when few do.
        """
        with self._changed:
            while not self._jobs and not self._closed:
                self._changed.wait()
            if self._closed:
                return []
            taken = [heapq.heappop(self._jobs)]
            texts, longest = len(taken[0].texts), taken[0].longest
            while self._jobs and self._jobs[0].kind is taken[0].kind:
                texts += len(self._jobs[0].texts)
                longest = max(longest, self._jobs[0].longest)
                if texts > limits.texts or texts * longest > limits.characters:
                    break
                taken.append(heapq.heappop(self._jobs))
            return taken

    def close(self) -> list[Job]:
        """Let nobody wait any more; those who did."""
        with self._changed:
            self._closed = True
            left, self._jobs = sorted(self._jobs), []
            self._changed.notify_all()
            return left
