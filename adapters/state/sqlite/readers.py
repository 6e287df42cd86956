"""Threads that read: each serves one snapshot at a time, on a connection of its own."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import deque
from collections.abc import Iterable
from threading import Thread

from adapters.state.sqlite.connection import StatementClock
from adapters.state.sqlite.delivery import Delivery
from adapters.state.sqlite.failures import port_error, unavailable
from adapters.state.sqlite.options import SqliteOptions
from adapters.state.sqlite.session import Step
from adapters.state.sqlite.steps import GivenUp, Steps, deadline_after, late_answers, perform


class Reader:
    """A desk for snapshots. A snapshot is of the moment of its first read."""

    def __init__(
        self, connection: sqlite3.Connection, options: SqliteOptions, delivery: Delivery
    ) -> None:
        self._connection = connection
        self._options = options
        self._delivery = delivery
        self._clock = StatementClock(connection, options.statement_timeout)
        self._steps = Steps()
        self._thread = Thread(target=self._run, name="sqlite-reader", daemon=True)
        self._thread.start()

    def open(self, step: Step) -> None:
        """See Desk.open."""
        self._steps.put(step)

    def post(self, step: Step) -> None:
        """See Desk.post."""
        self._steps.put(step)

    def close(self) -> None:
        """Serve what was handed in, close the connection, end the thread."""
        self._steps.close()

    def join(self) -> None:
        """Block until the thread has ended."""
        self._thread.join()

    def _run(self) -> None:
        while (step := self._steps.wait()) is not None:
            if step.session.over:
                self._delivery.send(late_answers(step.session, step))
            else:
                self._serve(step)
        self._connection.close()

    def _serve(self, step: Step) -> None:
        session = step.session
        session.started = True
        deadline = deadline_after(self._options.transaction_timeout)
        try:
            self._connection.execute("BEGIN")
            while True:
                self._clock.start()
                result = perform(self._connection, step)
                if step.future is not None:
                    self._delivery.send([(step.future, result, None)])
                step = self._steps.next_of(session, deadline)
        except GivenUp:
            pass
        except Exception as error:  # noqa: BLE001 - passed on to whoever waits for the step
            session.failure = port_error(error)
            if step.future is not None:
                self._delivery.send([(step.future, None, session.failure)])
        finally:
            session.over = True
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            self._delivery.send(late_answers(session))


class ReaderPool:
    """Hands out idle readers, first come, first served."""

    def __init__(self, readers: Iterable[Reader], options: SqliteOptions) -> None:
        self._all = tuple(readers)
        self._idle = list(self._all)
        self._waiting: deque[asyncio.Future[Reader]] = deque()
        self._options = options
        self._closed = False

    async def acquire(self) -> Reader:
        """A reader for one snapshot. StoreUnavailable where none is free in time."""
        if self._closed:
            raise unavailable("it is closed")
        if self._idle:
            return self._idle.pop()
        if len(self._waiting) >= self._options.queue_limit:
            raise unavailable("too many snapshots wait for it")
        future: asyncio.Future[Reader] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        try:
            async with asyncio.timeout(self._options.statement_timeout):
                return await future
        except TimeoutError:
            self._return_unused(future)
            raise unavailable("too many snapshots are open") from None
        except asyncio.CancelledError:
            self._return_unused(future)
            raise

    def release(self, reader: Reader) -> None:
        """The snapshot is over, or its end was handed in."""
        while self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                future.set_result(reader)
                return
        self._idle.append(reader)

    def close(self) -> None:
        """Let every reader serve what was handed in, and end."""
        if not self._closed:
            self._closed = True
            for future in self._waiting:
                if not future.done():
                    future.set_exception(unavailable("it is closed"))
            for reader in self._all:
                reader.close()

    def join(self) -> None:
        """Block until all threads have ended."""
        for reader in self._all:
            reader.join()

    def _return_unused(self, future: asyncio.Future[Reader]) -> None:
        if future.done() and not future.cancelled() and future.exception() is None:
            self.release(future.result())
