"""`colonnade copy-state`: from the embedded store to a PostgreSQL server, with everything kept."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from colonnaded.cli.exits import Exit, fail
from colonnaded.cli.options import ConfigFile, Output, OutputOption, settings_or_fail

if TYPE_CHECKING:
    from colonnaded.settings import Settings


def copy_state(
    source: Annotated[Path, typer.Argument(help="The file of the SQLite store.")],
    config: ConfigFile = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Copy a SQLite store that no server uses into the settings' PostgreSQL, which is empty."""
    settings = settings_or_fail(config)
    if settings.state.adapter != "postgres":
        fail('the settings name no PostgreSQL store: set state.adapter = "postgres"', Exit.SETTINGS)
    if not source.is_file():
        fail(f"{source}: no such file", Exit.NOT_FOUND)
    rows = _copied(source, settings)
    if output is Output.JSON:
        print(json.dumps(rows))
        return
    for name, count in rows.items():
        print(f"{name}\t{count}")


def _copied(source: Path, settings: Settings) -> Mapping[str, int]:
    from colonnaded.data_directory import DataDirectoryLocked
    from colonnaded.secrets import MissingSecret
    from colonnaded.settings import SettingsError
    from core.errors import ColonnadeError

    try:
        return asyncio.run(_copy(source, settings))
    except (DataDirectoryLocked, MissingSecret, SettingsError, OSError) as error:
        fail(str(error), Exit.SETTINGS)
    except ColonnadeError as error:
        fail(error.message)


async def _copy(source: Path, settings: Settings) -> Mapping[str, int]:
    """Raises what says why not: the store is in use, or either of the two can't be opened."""
    from adapters.state.copying import copy_store
    from adapters.state.postgres.connecting import conninfo
    from adapters.state.postgres.state import open_postgres
    from adapters.state.sqlite.options import SqliteOptions
    from adapters.state.sqlite.state import open_sqlite
    from colonnaded.cli.progress import progress_bar
    from colonnaded.data_directory import unused_store
    from colonnaded.openers.state import postgres_options

    options = postgres_options(settings.state)
    async with unused_store(source):
        for state in (await open_sqlite(SqliteOptions(source)), await open_postgres(options)):
            await state.close()  # opened to be brought to this program's schema
        with progress_bar(hidden=False) as bar:
            task = bar.add_task("copying", total=None)

            def told(name: str, rows: int) -> None:
                bar.update(task, description=f"copying {name}", completed=rows)

            return await asyncio.to_thread(copy_store, source, conninfo(options.url), told)
