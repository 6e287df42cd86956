"""Moves committed pages from the write-ahead log into the database, off everybody's way.

A PASSIVE checkpoint disturbs nobody, but while transactions keep coming it never finds the log
all moved, and the log grows. Past a size RESTART makes the writer wait for a moment so that the
log begins anew, and past a larger one TRUNCATE gives the disk its space back. Both follow a
PASSIVE one, so that little is left for them to do.
"""

from __future__ import annotations

import sqlite3
from threading import Event, Thread

from adapters.state.sqlite.connection import connect
from adapters.state.sqlite.options import SqliteOptions

_PATIENCE_MS = 50
"""How long RESTART may hold up the writer for the sake of readers of old pages."""

RESTART_FRAMES = 4_000
"""Pages in the log, 4 KiB each, from which it is begun anew: 16 MB."""

TRUNCATE_FRAMES = 16_000
"""Pages in the log from which its file is emptied too: 64 MB."""


class Checkpointer:
    """A thread that runs while there is something to move, and sleeps while there is not."""

    def __init__(self, options: SqliteOptions) -> None:
        self._connection = connect(options)
        self._connection.execute(f"PRAGMA busy_timeout = {_PATIENCE_MS}")
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
            self._checkpoint()
        self._connection.close()

    def _checkpoint(self) -> None:
        frames, moved = self._run_pragma("PASSIVE")
        if frames >= TRUNCATE_FRAMES:
            self._run_pragma("TRUNCATE")
        elif frames >= RESTART_FRAMES:
            self._run_pragma("RESTART")
        elif moved < frames:
            self._work.set()  # an old snapshot was in the way: again after the interval

    def _run_pragma(self, mode: str) -> tuple[int, int]:
        """The log's frames, and those of them that are moved; (0, 0) where it was not possible."""
        try:
            row = self._connection.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()
        except sqlite3.Error:  # a full disk or a busy file: whoever commits next is told
            return 0, 0
        _, frames, moved = row
        return frames, moved
