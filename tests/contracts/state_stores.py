"""Every store that keeps core.ports.state.State; a new one is one more opener."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from adapters.state.postgres.options import PostgresOptions
from adapters.state.postgres.state import open_postgres
from adapters.state.sqlite.options import Durability, SqliteOptions
from adapters.state.sqlite.state import open_sqlite
from core.ports.state import State
from fakes.state import FakeState

Opener = Callable[[pytest.FixtureRequest], Awaitable[State]]


def _file(request: pytest.FixtureRequest) -> Path:
    folder: Path = request.getfixturevalue("tmp_path")
    return folder / "state.sqlite"


async def _fake(request: pytest.FixtureRequest) -> State:
    return FakeState()


async def _sqlite(request: pytest.FixtureRequest) -> State:
    return await open_sqlite(SqliteOptions(_file(request)))


async def _sqlite_power(request: pytest.FixtureRequest) -> State:
    return await open_sqlite(SqliteOptions(_file(request), Durability.POWER))


async def _postgres(request: pytest.FixtureRequest) -> State:
    return await open_postgres(PostgresOptions(request.getfixturevalue("postgres_url")))


ALL_STORES = [
    pytest.param(_fake, id="fake"),
    pytest.param(_sqlite, id="sqlite"),
    pytest.param(_sqlite_power, id="sqlite-power"),
    pytest.param(_postgres, id="postgres"),
]


@pytest.fixture(params=ALL_STORES)
async def state(request: pytest.FixtureRequest) -> AsyncIterator[State]:
    opener: Opener = request.param
    opened = await opener(request)
    yield opened
    await opened.close()
