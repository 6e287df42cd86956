"""Opens the state of record."""

from __future__ import annotations

from collections.abc import AsyncIterator

from colonnaded.data_directory import DataDirectory
from colonnaded.settings import Settings
from core.ports.state import State


async def open_state(settings: Settings, data: DataDirectory) -> AsyncIterator[State]:
    """The state, until the process ends. Raises what says why it cannot be opened."""
    from adapters.state.sqlite.options import Durability, SqliteOptions
    from adapters.state.sqlite.state import open_sqlite

    durability = {"process": Durability.PROCESS, "power": Durability.POWER}
    options = SqliteOptions(
        path=settings.state.path or data.state,
        durability=durability[settings.state.durability],
    )
    state = await open_sqlite(options)
    try:
        yield state
    finally:
        await state.close()
