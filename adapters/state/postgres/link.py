"""One connection, driven through libpq: statements go out together, answers come back together.

A batch is a list of calls that ends with a synchronisation point. All of it is handed to the
socket at once, so that it costs one round trip however long it is; after a failure the server
skips the rest of the batch. The socket is watched all the time, also between batches: a
connection that the server ends is known to be dead before anybody is given it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import psycopg
from psycopg.adapt import Transformer
from psycopg.pq import ConnStatus, ExecStatus, Format
from psycopg.pq.abc import PGconn, PGresult

from adapters.state.postgres.failures import BatchFailed, ends_session, port_error, unavailable
from adapters.state.postgres.values import Encoded, as_arrays, encoded
from adapters.state.rows.session import Row
from core.identifiers import Seconds

Rows = list[tuple[Any, ...]]
"""Rows as the driver decodes them: their types are the columns'."""

_PREPARATION = -1
_MANY = 4
"""From so many rows on, arrays of them cost less than each by itself."""


class Call:
    """A statement, with the rows of values that it is run with. Encoded when it is made.

    `many` is the statement for a list of rows at once, where there is one.
    """

    __slots__ = ("many", "rows", "sql")

    def __init__(self, sql: str, *rows: Row, many: str = "") -> None:
        self.sql = sql
        self.many = many
        self.rows: list[Encoded] = [encoded(row) for row in rows]

    def add(self, *rows: Row) -> None:
        """Run it with these rows too."""
        self.rows += [encoded(row) for row in rows]

    def parts(self, most: int) -> Sequence[Call]:
        """The same in several, with up to so many rows each."""
        if len(self.rows) <= most:
            return [self]
        parts = [Call(self.sql, many=self.many) for _ in range(0, len(self.rows), most)]
        for number, part in enumerate(parts):
            part.rows = self.rows[number * most : (number + 1) * most]
        return parts

    def joined(self) -> Call:
        """The same in as few statements as pay."""
        if not self.many or len(self.rows) < _MANY:
            return self
        call = Call(self.many)
        call.rows = [as_arrays(self.rows)]
        return call


class Link:
    """A connection in pipeline mode. One batch at a time; a dead one stays dead."""

    def __init__(self, connection: psycopg.AsyncConnection[Any], patience: Seconds) -> None:
        self.is_dead = False
        self.on_death: Callable[[Link], None] | None = None
        self._connection = connection  # it would close the socket if nobody held it
        self._pgconn: PGconn = connection.pgconn
        self._patience = patience
        self._loop = asyncio.get_running_loop()
        self._transformer = Transformer(connection)
        self._names: dict[str, bytes] = {}
        self._prepared = 0
        self._plan: list[int] = []
        self._fresh: dict[int, str] = {}
        self._results: list[PGresult] = []
        self._is_busy = False
        self._then: Callable[[], None] | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._is_writing = False
        self._pgconn.nonblocking = 1
        self._pgconn.enter_pipeline_mode()
        self._socket = self._pgconn.socket
        self._loop.add_reader(self._socket, self._on_readable)

    @property
    def is_busy(self) -> bool:
        """Whether answers are still to come."""
        return self._is_busy

    async def run(self, calls: Sequence[Call]) -> list[Rows]:
        """The rows that each call answered; BatchFailed where one failed."""
        self._send(calls)
        await self._answered()
        return self._decoded(len(calls))

    def post(self, call: Call, then: Callable[[], None]) -> None:
        """Send a call whose answer nobody waits for, and go on with `then` when it is there.

        Also when the connection dies instead.
        """
        self._then = then
        with suppress(BatchFailed):
            self._send([call])

    async def drained(self) -> None:
        """Wait until all that was asked is answered, whoever asked it. BatchFailed if it dies."""
        if self._is_busy:
            await self._answered()

    def close(self) -> None:
        """Let go of the connection at once."""
        self._die("it was closed here")

    async def _answered(self) -> None:
        self._waiter = self._loop.create_future()
        await self._waiter

    def _send(self, calls: Sequence[Call]) -> None:
        if self.is_dead:
            raise BatchFailed(unavailable("the connection was lost"), answered=True)
        self._plan, self._fresh, self._results = [], {}, []
        self._alarm = self._loop.call_later(self._patience, self._die, "it did not answer in time")
        try:
            for at, call in enumerate(calls):
                self._send_call(call, at)
            self._pgconn.pipeline_sync()
            self._is_busy = True
            self._flush()
        except psycopg.Error:
            self._die("the connection was lost")
            raise BatchFailed(unavailable("the connection was lost"), answered=False) from None

    def _send_call(self, call: Call, at: int) -> None:
        pgconn, plan = self._pgconn, self._plan
        name = self._names.get(call.sql)
        if name is None:
            name = self._names[call.sql] = b"s%d" % self._prepared
            self._prepared += 1
            pgconn.send_prepare(name, call.sql.encode())
            self._fresh[len(plan)] = call.sql
            plan.append(_PREPARATION)
        for values, formats in call.rows:
            pgconn.send_query_prepared(name, values, formats, Format.BINARY)
            plan.append(at)

    def _flush(self) -> None:
        unsent = self._pgconn.flush()
        if unsent and not self._is_writing:
            self._loop.add_writer(self._socket, self._on_writable)
        elif self._is_writing and not unsent:
            self._loop.remove_writer(self._socket)
        self._is_writing = bool(unsent)

    def _on_writable(self) -> None:
        try:
            self._flush()
        except psycopg.Error:
            self._die("the connection was lost")

    def _on_readable(self) -> None:
        try:
            self._pgconn.consume_input()
            self._collect()
        except psycopg.Error:
            self._die("the connection was lost")

    def _collect(self) -> None:
        pgconn = self._pgconn
        while self._is_busy and not pgconn.is_busy():
            result = pgconn.get_result()
            if result is None:
                if pgconn.status != ConnStatus.OK:
                    self._die("the connection was lost")
            elif result.status == ExecStatus.PIPELINE_SYNC:
                self._finish()
            else:
                self._results.append(result)

    def _finish(self) -> None:
        self._is_busy = False
        if self._alarm is not None:
            self._alarm.cancel()
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
        self._go_on()

    def _go_on(self) -> None:
        then, self._then = self._then, None
        if then is not None:
            then()

    def _decoded(self, count: int) -> list[Rows]:
        """Each call's rows, or the first failure."""
        rows: list[Rows] = [[] for _ in range(count)]
        transformer = self._transformer
        for at, result in zip(self._plan, self._results, strict=True):
            if result.status == ExecStatus.TUPLES_OK:
                if result.ntuples:
                    transformer.set_pgresult(result)
                    rows[at] += transformer.load_rows(0, result.ntuples, tuple)
            elif result.status != ExecStatus.COMMAND_OK:
                raise self._failed(result)
        return rows

    def _failed(self, result: PGresult) -> BatchFailed:
        for place, sql in self._fresh.items():
            if self._results[place].status != ExecStatus.COMMAND_OK:
                del self._names[sql]
        fatal = ends_session(result)
        if fatal:
            self._die("the connection was lost")
        return BatchFailed(port_error(result), answered=not fatal)

    def _die(self, cause: str) -> None:
        if self.is_dead:
            return
        self.is_dead = True
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)
        self._pgconn.finish()
        self._is_busy = False
        self._finish_dead(cause)
        if self.on_death is not None:
            self.on_death(self)
        self._go_on()

    def _finish_dead(self, cause: str) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(self._last_words(cause))

    def _last_words(self, cause: str) -> BatchFailed:
        """What the server said before it went, if it did."""
        for result in self._results:
            if result.status == ExecStatus.FATAL_ERROR:
                return BatchFailed(port_error(result), answered=not ends_session(result))
        return BatchFailed(unavailable(cause), answered=False)
