"""Lines that are written together: one write a round of the event loop, not one a line."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TextIO


class JoinedLines:
    """Takes text for a stream, as a stream does. Belongs to one thread.

    Where a loop runs, what comes within one round of it is written at the round's end.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._waiting: list[str] = []

    def write(self, text: str) -> int:
        """Put the text behind what waits already."""
        is_first = not self._waiting
        self._waiting.append(text)
        if is_first:
            self._write_soon()
        return len(text)

    def flush(self) -> None:
        """Nothing: whoever has to be sure asks for `write_now`."""

    def write_now(self) -> None:
        """Write all that waits.

        A stream whose reader has gone, or whose disk is full, loses lines: what a line tells of
        must not fail for that.
        """
        waiting, self._waiting = self._waiting, []
        if waiting:
            with suppress(OSError):
                self._stream.write("".join(waiting))
                self._stream.flush()

    def _write_soon(self) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self.write_now()
        else:
            loop.call_soon(self.write_now)
