"""The second wall between tenants: what the server itself refuses, whatever a statement says."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal

import psycopg
import pytest

from adapters.state.failures import StoreUnusable
from adapters.state.postgres.link import Call
from adapters.state.postgres.options import PostgresOptions
from adapters.state.postgres.session import PostgresSession
from adapters.state.postgres.state import PostgresState, open_postgres
from adapters.state.rows.statements import Statement
from adapters.state.tables import metadata
from contracts.state_samples import (
    ACME,
    DOCS,
    OTHER,
    a_chunk,
    a_collection,
    a_conversation,
    a_document,
    a_line,
    a_message,
    a_turn,
    an_api_key,
    an_attempt,
    an_execution,
    an_id,
    events,
    later,
)
from core.budgets.rows import AlertRow, BudgetRow
from core.identifiers import BootId, Position, TenantId
from core.ports.cache_rows import CachedRow
from core.ports.state import EVERY_TENANT, Scope, Transaction
from core.turns.rows import ReaderRow
from servers.postgres import PostgresServer

TABLES = sorted(metadata.tables)


@pytest.fixture
async def state(postgres_url: str) -> AsyncIterator[PostgresState]:
    """A store in which ACME has a row in every table."""
    opened = await open_postgres(PostgresOptions(postgres_url))
    async with opened.transaction(ACME) as tx:
        tx.conversations.insert(a_conversation())
        tx.conversations.add_message(a_message("m"))
        tx.turns.insert(a_turn())
        tx.idempotency.insert(an_id())
        tx.events.append(a_turn(), events(1, 1))
        tx.readers.put(ReaderRow(a_turn().id, ACME, BootId("boot"), later(2)))
        tx.spending.begin(an_attempt())
        tx.spending.book(a_line())
        tx.spending.record(an_execution())
        tx.api_keys.insert(an_api_key())
        assert await tx.budgets.replace(BudgetRow("daily", ACME, "daily"))
        one, at = Decimal(1), later(0)
        assert await tx.budgets.tell(AlertRow("daily", ACME, at, one, one, one, "USD", at))
        tx.cached.put(CachedRow(ACME, "answer", "a", b"", at, at))
        tx.knowledge.insert_collection(a_collection())
        tx.knowledge.put_document(DOCS, a_document(), [a_chunk("a")], Position(1))
    yield opened
    await opened.close()


async def count(state: PostgresState, table: str, scope: Scope) -> int:
    """What a statement that forgot to name the tenant counts within the scope."""
    async with state.transaction(scope) as tx:
        session = session_of(tx)
        (number,) = await session.all(first, Statement(f"SELECT count(*), ?1 FROM {table}"))
        return number


def first(row: tuple[int, str]) -> int:
    return row[0]


def session_of(tx: Transaction) -> PostgresSession:
    session = vars_of(tx)["_session"]
    assert isinstance(session, PostgresSession)
    return session


def vars_of(tx: Transaction) -> dict[str, object]:
    return {name: getattr(tx, name) for name in type(tx).__slots__}  # type: ignore[attr-defined] # ours has


@pytest.mark.parametrize("table", TABLES)
async def test_a_statement_that_forgot_the_tenant_sees_its_own_rows_alone(
    state: PostgresState, table: str
) -> None:
    assert await count(state, table, ACME) == 1
    assert await count(state, table, OTHER) == 0
    assert await count(state, table, EVERY_TENANT) == 1


@pytest.mark.parametrize("table", TABLES)
async def test_it_changes_its_own_rows_alone(state: PostgresState, table: str) -> None:
    async with state.transaction(OTHER) as tx:
        session_of(tx).write(Statement(f"DELETE FROM {table}"), ())
        session_of(tx).write(Statement(f"UPDATE {table} SET tenant = 'other'"), ())
    assert await count(state, table, ACME) == 1


@pytest.mark.parametrize("table", TABLES)
async def test_who_says_no_scope_sees_nothing(
    state: PostgresState, postgres_url: str, table: str
) -> None:
    with psycopg.connect(postgres_url) as connection:
        found = connection.execute(f"SELECT count(*) FROM {table}".encode()).fetchone()
    assert found == (0,)


async def test_a_row_cannot_be_given_to_another_tenant(state: PostgresState) -> None:
    with pytest.raises(psycopg.DatabaseError, match="row-level security"):
        async with state.transaction(ACME) as tx:
            session_of(tx).write(Statement("UPDATE turn SET tenant = 'other'"), ())
    assert await count(state, "turn", ACME) == 1


async def test_the_scope_ends_with_its_transaction(state: PostgresState) -> None:
    """The next user of the connection is not the last one's tenant."""
    pool = state._house.pool
    async with state.transaction(ACME) as tx:
        await tx.turns.get(a_turn().id)
    link = await pool.acquire()
    try:
        for name in ("tenant", "every_tenant"):
            (rows,) = await link.run(
                [Call(f"SELECT current_setting('colonnade.{name}', true)", ())]
            )
            assert rows[0][0] in ("", None)
    finally:
        pool.release(link)


@pytest.mark.parametrize("name", ["", "'; DROP TABLE turn; --", "a\\b", "ü模"])
async def test_any_name_is_only_a_name(state: PostgresState, name: str) -> None:
    tenant = TenantId(name)
    async with state.transaction(tenant) as tx:
        assert await tx.turns.get(a_turn().id) is None
        tx.conversations.insert(a_conversation("its"))
    async with state.snapshot(tenant) as tx:
        assert await tx.conversations.get(a_conversation("its").id) is not None
    async with state.snapshot(ACME) as tx:
        assert await tx.conversations.get(a_conversation("its").id) is None


class TestSchema:
    def test_every_table_is_walled_also_against_its_owner(
        self, postgres_server: PostgresServer, postgres_template: str
    ) -> None:
        walled = postgres_server.execute(
            "SELECT relname FROM pg_class JOIN pg_policy ON polrelid = pg_class.oid "
            "WHERE relrowsecurity AND relforcerowsecurity",
            postgres_template,
        )
        assert sorted(str(name) for (name,) in walled) == TABLES

    def test_every_text_sorts_by_code_point(
        self, postgres_server: PostgresServer, postgres_template: str
    ) -> None:
        others = postgres_server.execute(
            "SELECT table_name, column_name FROM information_schema.columns "
            "WHERE table_schema = 'public' AND data_type = 'text' "
            "AND collation_name IS DISTINCT FROM 'C'",
            postgres_template,
        )
        assert others == []

    async def test_a_role_that_passes_by_the_walls_is_refused(
        self, postgres_server: PostgresServer, postgres_url: str
    ) -> None:
        url = postgres_url.replace("colonnade:", "postgres:", 1)
        with pytest.raises(StoreUnusable, match="CREATE ROLE"):
            await open_postgres(PostgresOptions(url))
