"""From a thread back to the event loop, many answers in one hop."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

Answer = tuple["asyncio.Future[object]", object, Exception | None]
"""A future, and what it gets: a result, or an error in its place."""


class Delivery:
    """Answers are put down by a thread and handed out by the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._answers: deque[Answer] = deque()
        self._on_its_way = False

    def send(self, answers: Sequence[Answer]) -> None:
        """Called by a thread. Answers that nobody waits for any more are dropped."""
        self._answers.extend(answers)
        if self._on_its_way or not answers:
            return
        self._on_its_way = True
        try:
            self._loop.call_soon_threadsafe(self._hand_out)
        except RuntimeError:  # the loop was closed over our heads: nobody waits
            self._answers.clear()

    def _hand_out(self) -> None:
        # Lowered before the answers are taken: one that comes meanwhile raises it again.
        self._on_its_way = False
        answers = self._answers
        while answers:
            future, result, error = answers.popleft()
            if future.done():
                continue
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(result)
