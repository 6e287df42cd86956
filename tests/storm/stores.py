"""The servers that the processes of a storm share, and the settings that lead there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from storm.options import StormOptions
from storm.server import EMBEDDER

_SETTINGS = """
data_dir = "{data}"

[server]
address = "127.0.0.1:PORT"
replicas = {processes}
drain_seconds = 5

[auth]
demo_key = true

[state]
durability = "{durability}"
{state}

[embedders.{embedder}]
adapter = "minilm"

[retrieval]
embedder = "{embedder}"
"""


@dataclass
class Stores:
    """Where the state lies. `sqlite` is its file, where it is one."""

    sqlite: Path

    async def restart_postgres(self) -> None:
        """Stop the server and start it again."""
        raise NotImplementedError

    def postgres_away(self) -> AbstractAsyncContextManager[None]:
        """The server is down while the block runs."""
        raise NotImplementedError

    async def restart_nats(self) -> None:
        """Stop the server and start it again."""
        raise NotImplementedError


@asynccontextmanager
async def stores(options: StormOptions) -> AsyncIterator[Stores]:
    """What the options ask for, while the block runs."""
    yield Stores(options.folder / "data" / "state.sqlite")


def settings_of(options: StormOptions, servers: Stores) -> str:
    """The settings of every process, but for its port."""
    return _SETTINGS.format(
        data=options.folder / "data",
        processes=options.processes,
        durability=options.durability,
        embedder=EMBEDDER,
        state="",
    )
