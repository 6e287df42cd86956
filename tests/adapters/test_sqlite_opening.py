"""How a SQLite store is made, opened again, migrated, or refused."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from adapters.state.encoding.turns import TURN, turn_row
from adapters.state.failures import StoreUnusable
from adapters.state.migrations import HEAD, REVISIONS, upgrade
from adapters.state.sqlite import opening, schema
from adapters.state.sqlite.options import SqliteOptions
from adapters.state.sqlite.state import open_sqlite
from adapters.state.tables import metadata
from contracts.state_samples import ACME, NOON, TALK, a_conversation, a_message, a_turn, later
from core.turns.rows import TurnState

NEXT = f"""
from alembic import op
revision = "9000"
down_revision = "{HEAD}"


def upgrade() -> None:
    op.execute("ALTER TABLE conversation ADD COLUMN mood TEXT NOT NULL DEFAULT 'calm'")
"""
BROKEN = NEXT + '    op.execute("ALTER TABLE nowhere ADD COLUMN mood TEXT")\n'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "state.sqlite"


async def fill(path: Path) -> None:
    """A store with a conversation and a message in it."""
    state = await open_sqlite(SqliteOptions(path))
    async with state.transaction(ACME) as tx:
        tx.conversations.insert(a_conversation())
        tx.conversations.add_message(a_message("m"))
    await state.close()


async def messages(path: Path) -> list[str]:
    state = await open_sqlite(SqliteOptions(path))
    try:
        async with state.snapshot(ACME) as tx:
            return [row.id for row in await tx.conversations.messages(TALK, 10, None)]
    finally:
        await state.close()


async def refusal(path: Path) -> str:
    with pytest.raises(StoreUnusable) as refused:
        await open_sqlite(SqliteOptions(path))
    assert str(path) in str(refused.value)
    return str(refused.value)


def modes(folder: Path) -> set[int]:
    return {file.stat().st_mode & 0o777 for file in folder.iterdir()}


def write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(content)


def cut_short(path: Path, count: int) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - count)


def overwrite(path: Path, at: int, count: int) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(b"\xff" * count)


class TestMaking:
    async def test_only_the_owner_can_read_it(self, path: Path) -> None:
        await fill(path)
        assert path.parent.stat().st_mode & 0o777 == 0o700
        assert modes(path.parent) == {0o600}

    async def test_its_log_is_private_too(self, path: Path) -> None:
        state = await open_sqlite(SqliteOptions(path))
        async with state.transaction(ACME) as tx:
            tx.conversations.insert(a_conversation())
        log = path.with_name("state.sqlite-wal")
        assert log.stat().st_mode & 0o777 == 0o600
        await state.close()

    async def test_it_is_all_there_after_a_restart(self, path: Path) -> None:
        await fill(path)
        assert await messages(path) == ["m"]

    async def test_many_may_make_it_at_once(self, path: Path) -> None:
        states = await asyncio.gather(*(open_sqlite(SqliteOptions(path)) for _ in range(8)))
        for number, state in enumerate(states):
            async with state.transaction(ACME) as tx:
                tx.conversations.insert(a_conversation(f"c{number}"))
        async with states[0].snapshot(ACME) as tx:
            found = await tx.conversations.list(a_conversation().owner, 10, None)
        assert len(found) == 8
        for state in states:
            await state.close()

    def test_neither_making_nor_opening_it_loads_the_migrations(self, path: Path) -> None:
        program = (
            "import asyncio, pathlib, sys\n"
            "from adapters.state.sqlite.options import SqliteOptions\n"
            "from adapters.state.sqlite.state import open_sqlite\n"
            "async def twice():\n"
            "    for _ in range(2):\n"
            f"        state = await open_sqlite(SqliteOptions(pathlib.Path({str(path)!r})))\n"
            "        await state.close()\n"
            "asyncio.run(twice())\n"
            "print(sorted({'alembic', 'sqlalchemy'} & set(sys.modules)))\n"
        )
        root = Path(opening.__file__).parents[3]
        done = subprocess.run(
            [sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True
        )
        assert done.stdout == "[]\n"


class TestRefusal:
    @pytest.mark.parametrize("size", [10, 5_000])
    async def test_of_what_is_not_a_database(self, path: Path, size: int) -> None:
        write(path, b"all sorts of things " * size)
        assert "restore a copy" in await refusal(path)

    async def test_of_a_file_that_was_cut_short(self, path: Path) -> None:
        await fill(path)
        cut_short(path, 8192)
        assert "damaged" in await refusal(path)

    async def test_of_a_file_whose_first_page_is_overwritten(self, path: Path) -> None:
        await fill(path)
        overwrite(path, at=100, count=300)
        assert "damaged" in await refusal(path)

    async def test_of_somebody_elses_database(self, path: Path) -> None:
        write(path, b"")
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("CREATE TABLE recipes (name TEXT)")
        assert "not one of Colonnade's" in await refusal(path)

    async def test_of_a_newer_programs_store(self, path: Path) -> None:
        await fill(path)
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("UPDATE alembic_version SET version_num = '9999'")
            connection.commit()
        assert "newer Colonnade" in await refusal(path)

    async def test_of_a_folder(self, path: Path) -> None:
        write(path / "file", b"")
        assert "cannot be opened" in await refusal(path)


class TestMigration:
    @pytest.fixture
    def migrations(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """A program of the future, which has one migration more."""
        scripts = tmp_path / "migrations"
        shutil.copytree(upgrade.SCRIPTS, scripts)
        monkeypatch.setattr(upgrade, "SCRIPTS", scripts)
        monkeypatch.setattr(opening, "REVISIONS", (*REVISIONS, "9000"))
        monkeypatch.setattr(opening, "HEAD", "9000")
        monkeypatch.setattr(upgrade.upgrade_sqlite, "__defaults__", ("9000",))
        return scripts / "versions" / "9000_next.py"

    async def test_brings_an_older_store_up_and_keeps_a_copy_of_it(
        self, path: Path, request: pytest.FixtureRequest
    ) -> None:
        await fill(path)
        request.getfixturevalue("migrations").write_text(NEXT)
        assert await messages(path) == ["m"]
        copy = path.with_name("state-before-9000.sqlite")
        assert copy.stat().st_mode & 0o777 == 0o600
        assert self.revision_and_mood(path) == ("9000", "calm")
        assert self.revision_and_mood(copy) == (HEAD, None)
        assert await messages(path) == ["m"]

    async def test_that_fails_leaves_the_store_as_it_was(
        self, path: Path, request: pytest.FixtureRequest
    ) -> None:
        await fill(path)
        request.getfixturevalue("migrations").write_text(BROKEN)
        assert "is as it was" in await refusal(path)
        assert self.revision_and_mood(path) == (HEAD, None)

    def revision_and_mood(self, path: Path) -> tuple[str, str | None]:
        with closing(sqlite3.connect(path)) as connection:
            (revision,) = connection.execute("SELECT version_num FROM alembic_version").fetchone()
            names = {row[1] for row in connection.execute("PRAGMA table_info(conversation)")}
            if "mood" not in names:
                return revision, None
            (mood,) = connection.execute("SELECT mood FROM conversation").fetchone()
            return revision, mood

    async def test_turns_that_ended_before_they_were_swept_are_swept(self, path: Path) -> None:
        path.parent.mkdir()
        upgrade.upgrade_sqlite(path, "0001")
        with closing(sqlite3.connect(path)) as connection:
            old = ", ".join(row[1] for row in connection.execute("PRAGMA table_info(turn)"))
            for turn in (a_turn("ended", state=TurnState.FAILED, ended_at=NOON), a_turn("runs")):
                row = dict(zip(TURN, turn_row(turn), strict=True))
                values = [row[name] for name in old.split(", ")]
                marks = ", ".join("?" * len(values))
                connection.execute(f"INSERT INTO turn ({old}) VALUES ({marks})", values)
            connection.commit()
        state = await open_sqlite(SqliteOptions(path))
        async with state.snapshot(ACME) as tx:
            assert [turn.id for turn in await tx.turns.to_forget(later(1), 10)] == ["ended"]
            assert await tx.turns.get(a_turn("runs").id) == a_turn("runs")
        await state.close()


class TestSchema:
    def test_the_revisions_are_those_of_the_scripts(self) -> None:
        with create_engine("sqlite://").connect() as connection:
            scripts = ScriptDirectory.from_config(upgrade.configuration(connection))
        revisions = [script.revision for script in scripts.walk_revisions()]
        assert tuple(reversed(revisions)) == REVISIONS
        assert scripts.get_heads() == [HEAD]

    def test_the_migrations_make_the_tables(self, tmp_path: Path) -> None:
        upgrade.upgrade_sqlite(tmp_path / "empty.sqlite")
        engine = create_engine(f"sqlite:///{tmp_path / 'empty.sqlite'}")
        with engine.connect() as connection:
            differences = compare_metadata(MigrationContext.configure(connection), metadata)
        engine.dispose()
        assert differences == []

    def test_a_new_store_gets_what_the_migrations_make(self) -> None:
        """Else: python -m adapters.state.sqlite.schema."""
        assert schema.dump() == schema.SCHEMA.read_text()
