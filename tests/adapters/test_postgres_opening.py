"""How a PostgreSQL store is made, migrated by several at once, or refused."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from adapters.state.failures import StoreUnusable
from adapters.state.migrations import HEAD
from adapters.state.postgres.options import PostgresOptions
from adapters.state.postgres.state import open_postgres
from adapters.state.tables import metadata
from contracts.state_samples import ACME, a_conversation
from core.ports.state import StoreUnavailable
from servers.postgres import PASSWORD, PostgresServer

ROOT = Path(__file__).parents[2]
CHILD = """
import asyncio, sys
from adapters.state.postgres.options import PostgresOptions
from adapters.state.postgres.state import open_postgres
from contracts.state_samples import ACME, a_conversation

async def main():
    state = await open_postgres(PostgresOptions(sys.argv[1]))
    async with state.transaction(ACME) as tx:
        tx.conversations.insert(a_conversation(sys.argv[2]))
    await state.close()

asyncio.run(main())
"""


@pytest.fixture
def empty_url(postgres_server: PostgresServer) -> Iterator[str]:
    """A database without tables."""
    name = postgres_server.new_database()
    yield postgres_server.url(name)
    postgres_server.drop_database(name)


async def refusal(url: str) -> StoreUnavailable:
    with pytest.raises(StoreUnavailable) as refused:
        await open_postgres(PostgresOptions(url, acquire_timeout=0.2))  # type: ignore[arg-type] # Seconds
    assert PASSWORD not in str(refused.value)
    assert PASSWORD not in repr(refused.value)
    return refused.value


class TestMaking:
    async def test_it_is_all_there_after_a_restart(self, empty_url: str) -> None:
        for name in ("first", "second"):
            state = await open_postgres(PostgresOptions(empty_url))
            async with state.transaction(ACME) as tx:
                tx.conversations.insert(a_conversation(name))
            await state.close()
        state = await open_postgres(PostgresOptions(empty_url))
        async with state.snapshot(ACME) as tx:
            found = await tx.conversations.list(a_conversation().owner, 10, None)
        assert {row.id for row in found} == {"first", "second"}
        await state.close()

    def test_four_processes_may_make_it_at_once(self, empty_url: str) -> None:
        children = [
            subprocess.Popen(
                [sys.executable, "-c", CHILD, empty_url, f"c{number}"],
                cwd=ROOT,
                env={"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
                stderr=subprocess.PIPE,
                text=True,
            )
            for number in range(4)
        ]
        told = [child.communicate(timeout=60)[1] for child in children]
        assert [child.returncode for child in children] == [0] * 4, told
        with psycopg.connect(empty_url) as connection:
            connection.execute("SET colonnade.every_tenant = 'on'")
            assert connection.execute("SELECT count(*) FROM conversation").fetchone() == (4,)
            versions = connection.execute("SELECT version_num FROM alembic_version").fetchall()
        assert versions == [(HEAD,)]

    async def test_the_migrations_make_the_tables(self, postgres_url: str) -> None:
        engine = create_engine(
            "postgresql+psycopg://",
            creator=lambda: psycopg.connect(postgres_url),
            poolclass=NullPool,
        )
        with engine.connect() as connection:
            differences = compare_metadata(MigrationContext.configure(connection), metadata)
        assert differences == []

    async def test_a_start_with_nothing_to_migrate_loads_no_migrations(
        self, postgres_url: str
    ) -> None:
        program = CHILD + "print(sorted({'alembic', 'sqlalchemy'} & set(sys.modules)))"
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-c", program, postgres_url, "c"],
            cwd=ROOT,
            env={"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout == "[]\n"


class TestRefusal:
    async def test_of_a_newer_programs_store(self, empty_url: str) -> None:
        await (await open_postgres(PostgresOptions(empty_url))).close()
        with psycopg.connect(empty_url) as connection:
            connection.execute("UPDATE alembic_version SET version_num = '9999'")
        refused = await refusal(empty_url)
        assert isinstance(refused, StoreUnusable)
        assert "newer Colonnade" in str(refused)

    async def test_of_somebody_elses_tables(self, empty_url: str) -> None:
        with psycopg.connect(empty_url) as connection:
            connection.execute("CREATE TABLE turn (id text)")
            connection.execute("CREATE TABLE conversation (id text)")
        assert "not Colonnade's" in str(await refusal(empty_url))

    @pytest.mark.parametrize(
        "url",
        [
            "postgresql://nobody:{password}@127.0.0.1:{port}/postgres",
            "postgresql://colonnade:{password}@127.0.0.1:{port}/missing",
        ],
        ids=["role", "database"],
    )
    async def test_of_a_url_that_the_server_refuses(
        self, postgres_server: PostgresServer, url: str
    ) -> None:
        refused = await refusal(url.format(password=PASSWORD, port=postgres_server.port))
        assert isinstance(refused, StoreUnusable)
        assert "refuses the role, the password or the database" in str(refused)

    @pytest.mark.parametrize("url", ["postgresql://a:{p}@[", "nonsense {p}", "mysql://a:{p}@b/c"])
    async def test_of_what_is_no_url(self, url: str) -> None:
        assert "not one of PostgreSQL" in str(await refusal(url.replace("{p}", PASSWORD)))

    async def test_of_a_server_that_is_not_there(self) -> None:
        refused = await refusal(f"postgresql://colonnade:{PASSWORD}@127.0.0.1:9/x")
        assert not isinstance(refused, StoreUnusable)
        assert "cannot be reached" in str(refused)


def test_the_password_is_not_in_what_is_printed_of_the_options() -> None:
    options = PostgresOptions(f"postgresql://colonnade:{PASSWORD}@db/colonnade")
    assert PASSWORD not in repr(options)
