"""Opens the state of record."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import TYPE_CHECKING

from adapters.telemetry.structured_log import StructuredLog
from colonnaded import policies
from colonnaded.data_directory import DataDirectory
from colonnaded.identity import new_id
from colonnaded.openers.store_wait import wait_for_store
from colonnaded.settings import Settings, SettingsError
from colonnaded.store_settings import StateSettings
from core.identifiers import Seconds
from core.ports.state import State

if TYPE_CHECKING:
    from adapters.state.postgres.options import PostgresOptions


async def open_state(
    settings: Settings, data: DataDirectory, log: StructuredLog | None = None
) -> AsyncIterator[State]:
    """The state, until the process ends. Raises what says why it cannot be opened.

    That is SettingsError, MissingSecret, or a ColonnadeError of the store. A process that serves,
    and has a `log`, waits for a database that is away.
    """
    if settings.state.adapter == "postgres":
        state = await _postgres(settings, log)
    else:
        state = await _sqlite(settings, data)
    try:
        yield state
    finally:
        await state.close()


async def _sqlite(settings: Settings, data: DataDirectory) -> State:
    from adapters.state.sqlite.options import Durability, SqliteOptions
    from adapters.state.sqlite.state import open_sqlite

    power = settings.state.withstands_power_loss
    options = SqliteOptions(
        path=settings.state.path or data.state,
        durability=Durability.POWER if power else Durability.PROCESS,
        statement_timeout=policies.turn_timings(settings).statement,
    )
    return await open_sqlite(options)


async def _postgres(settings: Settings, log: StructuredLog | None) -> State:
    statement = policies.turn_timings(settings).statement
    options = replace(postgres_options(settings.state), statement_timeout=statement)
    from adapters.state.postgres.state import open_postgres

    if log is None:
        return await open_postgres(options)

    def tell(why: str, left: Seconds) -> None:
        log.note("waiting_for_store", reason=why, gives_up_after_seconds=round(left, 1))

    def meanwhile() -> AbstractAsyncContextManager[None]:
        from adapters.grpc.waiting import not_serving

        why = "this server waits for its store and does not serve yet"
        return not_serving(policies.server_options(settings), why, new_id)

    patience = Seconds(settings.state.start_wait_seconds)
    return await wait_for_store(lambda: open_postgres(options), patience, tell, meanwhile)


def postgres_options(chosen: StateSettings) -> PostgresOptions:
    """The adapter's options. Raises SettingsError where it is not installed, and MissingSecret."""
    try:
        from adapters.state.postgres import state  # noqa: F401  # only whether it can be had
    except ModuleNotFoundError as error:
        raise SettingsError(
            "state.adapter", ['postgres is not installed: pip install "colonnade-server[postgres]"']
        ) from error
    from adapters.state.postgres.options import Durability, PostgresOptions

    assert chosen.url is not None  # the settings were checked: postgres has one
    return PostgresOptions(
        url=chosen.url.resolve(),
        durability=Durability.POWER if chosen.withstands_power_loss else Durability.PROCESS,
        connections=chosen.connections,
        acquire_timeout=Seconds(chosen.connection_wait_seconds),
    )
