"""Moves committed pages from the write-ahead log into the database, off everybody's way.

A PASSIVE checkpoint disturbs nobody, but while transactions keep coming it never finds the log
all moved, and the log grows. Past a size the writer is asked to stop for a moment and to begin
the log anew itself (RESTART; past a larger size TRUNCATE, which gives the disk its space back):
nobody else can be sure to get its lock between two of its transactions. It does so after a
PASSIVE one, so that little is left to move.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from threading import Event, Thread
from typing import NamedTuple

from adapters.state.sqlite.connection import connect
from adapters.state.sqlite.options import SqliteOptions

RESTART_FRAMES = 4_000
"""Pages in the log, 4 KiB each, from which it is begun anew: 16 MB."""

TRUNCATE_FRAMES = 16_000
"""Pages in the log from which its file is emptied too: 64 MB."""

_PATIENCE_S = 0.05
"""How long the writer waits for readers of old pages before it gives a restart up."""


def begin_log_anew(connection: sqlite3.Connection, mode: str) -> None:
    """On the writing connection, outside of a transaction. What it cannot do now it leaves."""
    patience = time.monotonic() + _PATIENCE_S
    while _checkpoint(connection, mode).busy and time.monotonic() < patience:
        time.sleep(0.002)


class Checkpointer:
    """A thread that runs while there is something to move, and sleeps while there is not.

    It tells `log_is_large`, on its own thread, how the log should be begun anew.
    """

    def __init__(self, options: SqliteOptions, log_is_large: Callable[[str], None]) -> None:
        self._connection = connect(options, 0.0)
        self._log_is_large = log_is_large
        self._interval = options.checkpoint_interval
        self._work = Event()
        self._stop = Event()
        self._thread = Thread(target=self._run, name="sqlite-checkpoints", daemon=True)
        self._thread.start()

    def note_commit(self) -> None:
        """Called by the writer after each commit."""
        if not self._work.is_set():
            self._work.set()

    def close(self) -> None:
        """Block until the thread has ended; what is left is moved when the store is closed."""
        self._stop.set()
        self._work.set()
        self._thread.join()

    def _run(self) -> None:
        while self._work.wait() and not self._stop.wait(self._interval):
            self._work.clear()
            self._move()
        self._connection.close()

    def _move(self) -> None:
        found = _checkpoint(self._connection, "PASSIVE")
        if found.frames >= TRUNCATE_FRAMES:
            self._log_is_large("TRUNCATE")
        elif found.frames >= RESTART_FRAMES:
            self._log_is_large("RESTART")
        elif found.moved < found.frames:
            self._work.set()  # an old snapshot was in the way: again after the interval


class _Found(NamedTuple):
    busy: bool
    frames: int
    moved: int


def _checkpoint(connection: sqlite3.Connection, mode: str) -> _Found:
    """What the log held, and how much of that is moved."""
    try:
        busy, frames, moved = connection.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()
    except sqlite3.Error:  # a full disk or a busy file: whoever commits next is told
        return _Found(busy=True, frames=0, moved=0)
    return _Found(bool(busy), frames, moved)
