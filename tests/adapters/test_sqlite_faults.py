"""Disks that are full, locks that others hold, callers that dawdle."""

from __future__ import annotations

import asyncio
import resource
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from adapters.state.sqlite.connection import StatementClock
from adapters.state.sqlite.failures import port_error
from adapters.state.sqlite.options import Durability, SqliteOptions
from adapters.state.sqlite.state import SqliteState, open_sqlite
from contracts.state_samples import ACME, ANN, a_conversation, a_turn, events
from core.errors import Reason
from core.identifiers import ConversationId, Seconds, TurnId
from core.ports.state import StoreUnavailable


@pytest.fixture(params=Durability, ids=lambda durability: durability.name.lower())
def options(request: pytest.FixtureRequest, tmp_path: Path) -> SqliteOptions:
    return SqliteOptions(
        tmp_path / "state.sqlite",
        request.param,
        readers=1,
        statement_timeout=Seconds(0.4),
        transaction_timeout=Seconds(0.6),
        queue_limit=20,
    )


@pytest.fixture
async def state(options: SqliteOptions) -> AsyncIterator[SqliteState]:
    opened = await open_sqlite(options)
    yield opened
    await opened.close()


async def keep(state: SqliteState, id: str) -> None:
    async with state.transaction(ACME) as tx:
        tx.conversations.insert(a_conversation(id))


async def log(state: SqliteState, turn: str, size: int) -> None:
    """A transaction that writes much."""
    async with state.transaction(ACME) as tx:
        tx.turns.insert(a_turn(turn))
        tx.events.append(a_turn(turn), events(1, 1, b"x" * size))


async def kept(state: SqliteState) -> set[str]:
    async with state.snapshot(ACME) as tx:
        return {row.id for row in await tx.conversations.list(ANN, 1000, None)}


@contextmanager
def no_file_may_grow_past(size: int) -> Iterator[None]:
    """As on a full disk, a write past this size of a file fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def locked_by_another(path: Path) -> Iterator[None]:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield


class TestDisk:
    async def test_a_commit_that_finds_it_full_fails_for_all_and_later_ones_work(
        self, state: SqliteState, options: SqliteOptions
    ) -> None:
        await keep(state, "before")
        log_size = options.path.with_name("state.sqlite-wal").stat().st_size
        with no_file_may_grow_past(log_size):
            lost = [keep(state, f"lost-{number}") for number in range(5)]
            results = await asyncio.gather(*lost, return_exceptions=True)
            assert all(isinstance(each, StoreUnavailable) for each in results)
            assert await kept(state) == {"before"}
        await keep(state, "after")
        assert await kept(state) == {"before", "after"}

    async def test_a_statement_that_finds_it_full_fails_and_later_ones_work(
        self, state: SqliteState
    ) -> None:
        connection = state._writer.bench.connection
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages + 20}")
        full: list[StoreUnavailable] = []
        for number in range(10):
            try:
                await log(state, f"turn-{number}", 20_000)
            except StoreUnavailable as error:
                full.append(error)
        assert full
        assert all(error.outcome_known and "no room" in str(error) for error in full)
        assert all(error.reason is Reason.STORAGE_FULL for error in full)
        connection.execute("PRAGMA max_page_count = 100000")
        await log(state, "later", 20_000)
        async with state.snapshot(ACME) as tx:
            assert len(await tx.turns.running(100)) == 11 - len(full)

    async def test_a_full_one_touches_no_small_neighbour_or_says_so(
        self, state: SqliteState
    ) -> None:
        connection = state._writer.bench.connection
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages + 20}")
        results = await asyncio.gather(
            keep(state, "small-1"),
            log(state, "huge", 2_000_000),
            keep(state, "small-2"),
            return_exceptions=True,
        )
        connection.execute("PRAGMA max_page_count = 100000")
        assert isinstance(results[1], StoreUnavailable)
        told = {f"small-{n}" for n, result in ((1, results[0]), (2, results[2])) if not result}
        assert await kept(state) == told


class TestLock:
    async def test_that_is_held_for_a_while_is_waited_for(
        self, state: SqliteState, options: SqliteOptions
    ) -> None:
        with locked_by_another(options.path):
            waiting = [asyncio.create_task(keep(state, f"c{number}")) for number in range(3)]
            await asyncio.sleep(0.1)
            assert await kept(state) == set()
        await asyncio.gather(*waiting)
        assert await kept(state) == {"c0", "c1", "c2"}

    async def test_that_is_held_for_too_long_is_an_error_of_known_outcome(
        self, state: SqliteState, options: SqliteOptions
    ) -> None:
        with locked_by_another(options.path):
            waiting = [keep(state, f"c{number}") for number in range(3)]
            results = await asyncio.gather(*waiting, return_exceptions=True)
        for result in results:
            assert isinstance(result, StoreUnavailable)
            assert result.outcome_known
        await keep(state, "after")
        assert await kept(state) == {"after"}

    async def test_a_caller_that_gives_up_waiting_for_it_holds_nothing(
        self, state: SqliteState, options: SqliteOptions
    ) -> None:
        with locked_by_another(options.path):
            waiting = asyncio.create_task(keep(state, "lost"))
            await asyncio.sleep(0.05)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
        await keep(state, "after")
        assert await kept(state) == {"after"}


class TestTime:
    async def test_a_transaction_that_is_kept_open_is_ended_and_others_go_on(
        self, state: SqliteState
    ) -> None:
        async def dawdle() -> None:
            async with state.transaction(ACME) as tx:
                tx.conversations.insert(a_conversation("slow"))
                await tx.conversations.get(ConversationId("slow"))
                await asyncio.sleep(1.0)

        slow = asyncio.create_task(dawdle())
        await asyncio.sleep(0.3)
        await keep(state, "waits")
        with pytest.raises(StoreUnavailable, match="too long"):
            await slow
        assert await kept(state) == {"waits"}

    async def test_what_ended_before_it_is_kept(self, state: SqliteState) -> None:
        async def dawdle() -> None:
            async with state.transaction(ACME) as tx:
                await tx.conversations.get(ConversationId("any"))
                await asyncio.sleep(1.0)

        first, slow = asyncio.create_task(keep(state, "first")), asyncio.create_task(dawdle())
        await first
        with pytest.raises(StoreUnavailable):
            await slow
        assert await kept(state) == {"first"}

    async def test_a_snapshot_that_is_kept_open_is_ended_and_others_go_on(
        self, state: SqliteState
    ) -> None:
        async def dawdle() -> None:
            async with state.snapshot(ACME) as tx:
                await tx.conversations.get(ConversationId("any"))
                await asyncio.sleep(1.0)
                await tx.conversations.get(ConversationId("any"))

        slow = asyncio.create_task(dawdle())
        await asyncio.sleep(0.3)
        assert await kept(state) == set()
        with pytest.raises(StoreUnavailable, match="too long"):
            await slow

    async def test_a_statement_that_runs_too_long_is_interrupted(self) -> None:
        with closing(sqlite3.connect(":memory:")) as connection:
            StatementClock(connection).start(Seconds(0.05))
            with pytest.raises(sqlite3.OperationalError) as interrupted:
                connection.execute(
                    "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) "
                    "SELECT max(x) FROM n"
                ).fetchall()
        meant = port_error(interrupted.value)
        assert isinstance(meant, StoreUnavailable)
        assert "in time" in str(meant)

    async def test_no_more_may_wait_than_the_limit(self, state: SqliteState) -> None:
        async with state.transaction(ACME) as tx:
            await tx.conversations.get(ConversationId("any"))
            waiting = [asyncio.create_task(keep(state, f"c{number}")) for number in range(20)]
            await asyncio.sleep(0)
            with pytest.raises(StoreUnavailable, match="too many"):
                await keep(state, "one too many")
        await asyncio.gather(*waiting)
        assert len(await kept(state)) == 20

    async def test_a_cancelled_wait_within_a_transaction_ends_it(
        self, state: SqliteState, options: SqliteOptions
    ) -> None:
        async def stubborn() -> None:
            async with state.transaction(ACME) as tx:
                tx.conversations.insert(a_conversation("half"))
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(tx.turns.get(TurnId("any")), 0.05)
                tx.conversations.insert(a_conversation("other half"))

        with locked_by_another(options.path), pytest.raises(StoreUnavailable):
            await stubborn()
        assert await kept(state) == set()
