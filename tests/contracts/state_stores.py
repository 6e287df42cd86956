"""Every store that keeps core.ports.state.State; a new one is one more opener."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from adapters.state.sqlite.options import Durability, SqliteOptions
from adapters.state.sqlite.state import open_sqlite
from core.ports.state import State
from fakes.state import FakeState


async def _fake(folder: Path) -> State:
    return FakeState()


async def _sqlite(folder: Path) -> State:
    return await open_sqlite(SqliteOptions(folder / "state.sqlite"))


async def _sqlite_power(folder: Path) -> State:
    return await open_sqlite(SqliteOptions(folder / "state.sqlite", Durability.POWER))


ALL_STORES = [
    pytest.param(_fake, id="fake"),
    pytest.param(_sqlite, id="sqlite"),
    pytest.param(_sqlite_power, id="sqlite-power"),
]


@pytest.fixture(params=ALL_STORES)
async def state(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[State]:
    opener: Callable[[Path], Awaitable[State]] = request.param
    opened = await opener(tmp_path)
    yield opened
    await opened.close()
