"""The servers that the processes of a storm share, and the settings that lead there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from storm.options import StormOptions
from storm.server import EMBEDDER

if TYPE_CHECKING:
    from servers.nats import NatsServer
    from servers.postgres import PostgresServer

_SETTINGS = """
data_dir = "{data}"

[server]
address = "127.0.0.1:PORT"
replicas = {processes}
drain_seconds = 5

[auth]
demo_key = true

[state]
{durability}
{state}

{bus}

[embedders.{embedder}]
adapter = "minilm"

[retrieval]
embedder = "{embedder}"
"""


@dataclass
class Stores:
    """Where the state lies, and who carries notices. `sqlite` is the file, where it is one."""

    sqlite: Path
    postgres: PostgresServer | None = None
    postgres_url: Path | None = None
    nats: NatsServer | None = None

    async def restart_postgres(self, *, crash: bool) -> None:
        """Stop the server, by an administrator or by a crash, and start it again."""
        assert self.postgres is not None
        await asyncio.to_thread(self.postgres.kill if crash else self.postgres.stop)
        await asyncio.to_thread(self.postgres.start)

    async def restart_nats(self) -> None:
        """It crashes, and comes back on the same port."""
        assert self.nats is not None
        await asyncio.to_thread(self.nats.restart)

    @asynccontextmanager
    async def postgres_away(self) -> AsyncIterator[None]:
        """The server is down while the block runs."""
        assert self.postgres is not None
        await asyncio.to_thread(self.postgres.stop)
        yield
        await asyncio.to_thread(self.postgres.start)

    @property
    def state_settings(self) -> str:
        """Lines of the table `state`."""
        if self.postgres_url is None:
            return ""
        return f'adapter = "postgres"\nurl = {{ file = "{self.postgres_url}" }}'

    @property
    def bus_settings(self) -> str:
        """The table `bus`."""
        return (
            "" if self.nats is None else f'[bus]\nadapter = "nats"\nservers = ["{self.nats.url}"]'
        )


@asynccontextmanager
async def stores(options: StormOptions) -> AsyncIterator[Stores]:
    """What the options ask for, while the block runs."""
    made = Stores(options.folder / "data" / "state.sqlite")
    with ExitStack() as stack:
        if options.state == "postgres":
            from servers.postgres import PostgresServer

            made.postgres = stack.enter_context(PostgresServer.started(durable=True))
            made.postgres_url = options.folder / "postgres.url"
            database = made.postgres.new_database()
            made.postgres_url.write_text(made.postgres.url(database))
        if options.bus == "nats":
            from servers.nats import NatsServer

            made.nats = NatsServer(options.folder / "nats")
            made.nats.start()
            stack.callback(made.nats.stop)
        yield made


def settings_of(options: StormOptions, servers: Stores) -> str:
    """The settings of every process, but for its port."""
    chosen = options.durability
    return _SETTINGS.format(
        data=options.folder / "data",
        processes=options.processes,
        durability=f'durability = "{chosen}"' if chosen else "",
        embedder=EMBEDDER,
        state=servers.state_settings,
        bus=servers.bus_settings,
    )
