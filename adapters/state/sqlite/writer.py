"""The one thread that writes: transactions in turn, committed in groups.

Each transaction after the first of a group is a savepoint in the open outer one, so that it can
be undone alone; the group is committed when nobody waits, or when it is large or old enough.
Nobody is told of success before the commit that covers it.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from contextlib import suppress
from threading import Thread

from adapters.state.sqlite.connection import StatementClock
from adapters.state.sqlite.delivery import Answer, Delivery
from adapters.state.sqlite.failures import commit_error, port_error, unavailable
from adapters.state.sqlite.options import SqliteOptions
from adapters.state.sqlite.session import Step
from adapters.state.sqlite.steps import GivenUp, Steps, deadline_after, late_answers, perform


class Writer:
    """A desk for transactions. `open`, `post` and `close` are the loop's, the rest the thread's."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        options: SqliteOptions,
        delivery: Delivery,
        committed: Callable[[], None],
    ) -> None:
        self._connection = connection
        self._options = options
        self._delivery = delivery
        self._committed = committed
        self._clock = StatementClock(connection, options.statement_timeout)
        self._steps = Steps()
        self._group: list[Step] = []
        self._group_ends = 0.0
        self._is_nested = False
        self._closed = False
        self._opened = 0  # written by the loop only
        self._served = 0  # written by the thread only
        self._thread = Thread(target=self._run, name="sqlite-writer", daemon=True)
        self._thread.start()

    def open(self, step: Step) -> None:
        """See Desk.open."""
        if self._closed:
            raise unavailable("it is closed")
        if self._opened - self._served >= self._options.queue_limit:
            raise unavailable("too many transactions wait for it")
        self._opened += 1
        self._steps.put(step)

    def post(self, step: Step) -> None:
        """See Desk.post."""
        self._steps.put(step)

    def close(self) -> None:
        """Serve what was handed in, close the connection, end the thread."""
        if not self._closed:
            self._closed = True
            self._steps.close()

    def join(self) -> None:
        """Block until the thread has ended."""
        self._thread.join()

    def _run(self) -> None:
        while (step := self._next()) is not None:
            if step.session.over:
                self._delivery.send(late_answers(step.session, step))
                continue
            self._serve(step)
            self._served += 1
            full = len(self._group) >= self._options.group_size
            if self._group and (full or time.monotonic() >= self._group_ends):
                self._commit()
        self._connection.close()

    def _next(self) -> Step | None:
        step = self._steps.ready()
        if step is None and self._group:
            self._commit()
        return step or self._steps.wait()

    def _answer(self, step: Step, result: object, error: Exception | None) -> None:
        if step.future is not None:
            self._delivery.send([(step.future, result, error)])

    def _serve(self, first: Step) -> None:
        """One transaction from its first step to its end, which joins the group, or its undoing."""
        session = first.session
        session.started = True
        try:
            if not session.given_up:  # else nothing was done for it yet
                self._converse(first)
        except GivenUp:
            self._undo()
        finally:
            session.over = True
            self._delivery.send(late_answers(session))

    def _converse(self, step: Step) -> None:
        session = step.session
        deadline = deadline_after(self._options.transaction_timeout)
        try:
            self._begin()
            while True:
                self._clock.start()
                result = perform(self._connection, step)
                if step.ends:
                    self._join_group(step)
                    return
                self._answer(step, result, None)
                step = self._steps.next_of(session, deadline)
        except GivenUp:
            raise
        except Exception as error:  # noqa: BLE001 - passed on to whoever waits for the step
            self._undo()
            session.failure = port_error(error)
            self._answer(step, None, session.failure)

    def _begin(self) -> None:
        self._is_nested = bool(self._group)
        if self._is_nested:
            self._connection.execute("SAVEPOINT one")
        else:
            self._roll_back()  # only where an earlier one failed
            self._connection.execute("BEGIN IMMEDIATE")
            self._group_ends = time.monotonic() + self._options.group_time

    def _join_group(self, step: Step) -> None:
        if self._is_nested:
            self._connection.execute("RELEASE one")
        self._group.append(step)

    def _undo(self) -> None:
        """Take one transaction back; where SQLite has taken the outer one back, its group fails."""
        if self._is_nested and self._connection.in_transaction:
            with suppress(sqlite3.Error):  # else the whole group goes
                self._connection.execute("ROLLBACK TO one")
                self._connection.execute("RELEASE one")
                return
        self._roll_back()
        self._tell_group(lambda: unavailable("an error undid the group that it was in"))

    def _roll_back(self) -> None:
        if self._connection.in_transaction:
            with suppress(sqlite3.Error):  # tried again before the next transaction
                self._connection.execute("ROLLBACK")

    def _commit(self) -> None:
        self._clock.start()
        try:
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            cause = error
            self._roll_back()
            self._tell_group(lambda: commit_error(cause))
        else:
            self._tell_group(None)
            self._committed()

    def _tell_group(self, failure: Callable[[], Exception] | None) -> None:
        group, self._group = self._group, []
        answers: list[Answer] = [
            (step.future, None, failure() if failure else None)
            for step in group
            if step.future is not None
        ]
        if answers:
            self._delivery.send(answers)
