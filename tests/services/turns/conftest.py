"""The tests of turns run on virtual time: what takes minutes takes none, in the same order."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import pytest

import adapters.state.postgres.state as postgres_state
import adapters.state.sqlite.state as sqlite_state
from adapters.state.postgres.options import PostgresOptions
from adapters.state.sqlite.back_thread import Done
from adapters.state.sqlite.opening import prepare
from adapters.state.sqlite.options import SqliteOptions
from core.ports.state import State
from fakes.state import FakeState
from fakes.still_link import still_connect
from fakes.turn_node import loop_now
from fakes.virtual_time import VirtualTimeLoop


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"virtual time": VirtualTimeLoop}


class _NoThread:
    """In place of SQLite's thread: the work is done here, since virtual time waits for nobody."""

    def __init__(self, loop: asyncio.AbstractEventLoop, name: str) -> None:
        self._loop = loop

    def submit(self, work: Callable[[], object], done: Done) -> None:
        try:
            result = work()
        except Exception as error:  # noqa: BLE001 - it is passed on to whoever asked
            self._loop.call_soon(done, None, error)
        else:
            self._loop.call_soon(done, result, None)

    def close(self) -> None:
        pass


@pytest.fixture(scope="session")
def empty_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with its tables and nothing in them."""
    path = tmp_path_factory.mktemp("empty") / "state.sqlite"
    prepare(SqliteOptions(path))
    return path


@pytest.fixture
def fake() -> FakeState:
    """The store whose faults can be switched on."""
    return FakeState(loop_now)


@pytest.fixture(params=["fake", "sqlite", "postgres"])
async def state(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    empty_sqlite: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[State]:
    """Each kind of store in turn."""
    opened: State
    if request.param == "fake":
        opened = FakeState(loop_now)
    elif request.param == "postgres":
        monkeypatch.setattr(postgres_state, "connect", still_connect)
        url = request.getfixturevalue("postgres_url")
        opened = await postgres_state.open_postgres(PostgresOptions(url, now=loop_now))
    else:
        monkeypatch.setattr(sqlite_state, "BackThread", _NoThread)
        path = tmp_path / "state.sqlite"
        shutil.copy(empty_sqlite, path)
        opened = await sqlite_state.open_sqlite(SqliteOptions(path, now=loop_now))
    yield opened
    await opened.close()
