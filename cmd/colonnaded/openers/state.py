"""Opens the state of record."""

from __future__ import annotations

from collections.abc import AsyncIterator

from colonnaded.data_directory import DataDirectory
from colonnaded.settings import Settings, SettingsError
from core.ports.state import State


async def open_state(settings: Settings, data: DataDirectory) -> AsyncIterator[State]:
    """The state, until the process ends. Raises what says why it cannot be opened."""
    if settings.state.adapter == "postgres":
        state = await _postgres(settings)
    else:
        state = await _sqlite(settings, data)
    try:
        yield state
    finally:
        await state.close()


async def _sqlite(settings: Settings, data: DataDirectory) -> State:
    from adapters.state.sqlite.options import Durability, SqliteOptions
    from adapters.state.sqlite.state import open_sqlite

    durability = {"process": Durability.PROCESS, "power": Durability.POWER}
    options = SqliteOptions(
        path=settings.state.path or data.state,
        durability=durability[settings.state.durability],
    )
    return await open_sqlite(options)


async def _postgres(settings: Settings) -> State:
    del settings
    raise SettingsError("state.adapter", ["postgres is not built yet"])
