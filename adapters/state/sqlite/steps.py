"""A thread's side of the sessions: steps in order, one session at a time."""

from __future__ import annotations

import sqlite3
import time
from collections import deque
from queue import Empty, SimpleQueue

from adapters.state.sqlite.delivery import Answer
from adapters.state.sqlite.failures import unavailable
from adapters.state.sqlite.session import Session, Step
from core.identifiers import Seconds


class GivenUp(Exception):
    """The session's block was left by an exception: nothing of it may stay."""


class Steps:
    """What was handed in. While one session is served, others' steps are put by.

    Bounded by those who hand in: a session has one step under way at a time, and the sessions
    are counted.
    """

    def __init__(self) -> None:
        self.closing = False
        self._arriving: SimpleQueue[Step | None] = SimpleQueue()
        self._put_by: deque[Step] = deque()

    def put(self, step: Step) -> None:
        """Called by the loop."""
        self._arriving.put(step)

    def close(self) -> None:
        """Called by the loop, once: what was handed in before is still served."""
        self._arriving.put(None)

    def ready(self) -> Step | None:
        """The next step that is there already."""
        if self._put_by:
            return self._put_by.popleft()
        try:
            return self._noted(self._arriving.get_nowait())
        except Empty:
            return None

    def wait(self) -> Step | None:
        """The next step, awaited; None once closed and served."""
        step = self.ready()
        while step is None and not self.closing:
            step = self._noted(self._arriving.get())
        return step

    def next_of(self, session: Session, deadline: float) -> Step:
        """The session's next step. StoreUnavailable at the deadline (monotonic)."""
        if session.backlog:
            return session.backlog.pop(0)
        while True:
            try:
                remaining = max(0.0, deadline - time.monotonic())
                step = self._noted(self._arriving.get(timeout=remaining))
            except Empty:
                raise unavailable("the transaction was kept open for too long") from None
            if step is not None and step.session is session:
                return step
            if step is not None:
                self._put_aside(step)

    def _put_aside(self, step: Step) -> None:
        session = step.session
        if session.backlog is None:
            session.backlog = []
            self._put_by.append(step)
        else:
            session.backlog.append(step)

    def _noted(self, step: Step | None) -> Step | None:
        self.closing = self.closing or step is None
        return step


def perform(connection: sqlite3.Connection, step: Step) -> object:
    """Do what the step says; GivenUp where it says to undo."""
    if step.future is None:
        raise GivenUp
    for sql, rows in step.writes:
        if len(rows) == 1:
            connection.execute(sql, rows[0])
        else:
            connection.executemany(sql, rows)
    return step.query(connection) if step.query is not None else None


def late_answers(session: Session, *steps: Step) -> list[Answer]:
    """What steps are told that reach a session after its end."""
    late, session.backlog = (*steps, *(session.backlog or ())), None
    return [
        (step.future, None, session.failure or unavailable("the transaction is over"))
        for step in late
        if step.future is not None
    ]


def deadline_after(limit: Seconds) -> float:
    """The monotonic time at which a session that starts now must be over."""
    return time.monotonic() + limit
