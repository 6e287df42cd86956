"""A process that hosts the models, and one that hosts everything else and asks it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from mesh.server_process import ServerProcess, upstream_settings

_SHARED = """
[server]
replicas = 4
drain_seconds = 5
[state]
path = "{folder}/state.sqlite"
[breaker]
in_a_row = 1000
minimum = 1000
"""
_CHAT = """
[mesh]
targets = ["chat", "retrieval", "knowledge"]
models = {addresses}
key = {{ file = "{folder}/mesh.key" }}
"""
_MODELS = """
[mesh]
targets = ["models"]
"""


@dataclass(frozen=True, slots=True)
class Mesh:
    """The processes. The store is shared, each has a data directory of its own."""

    chat: ServerProcess
    models: tuple[ServerProcess, ...]


@contextmanager
def mesh(
    folder: Path, url: str, *, hosts: int = 1, dead: Sequence[str] = (), more: str = ""
) -> Iterator[Mesh]:
    """One that chats, and so many that host models; `dead` are addresses where nobody is.

    `more` is said of the deployment.
    """
    shared = _SHARED.format(folder=folder) + upstream_settings(url) + more
    models = tuple(_process(folder, f"models-{n}", shared + _MODELS) for n in range(hosts))
    addresses = [*dead, *(each.address for each in models)]
    chat = _process(folder, "chat", shared + _CHAT.format(folder=folder, addresses=addresses))
    _make_key(folder, models[0])
    with ExitStack() as stack:
        for each in models:
            stack.enter_context(each)
        stack.enter_context(chat)
        yield Mesh(chat, models)


def _process(folder: Path, name: str, settings: str) -> ServerProcess:
    own = folder / name
    own.mkdir()
    return ServerProcess(own, settings)


def _make_key(folder: Path, process: ServerProcess) -> None:
    who = ("--tenant", "mesh", "--user", "chat", "--scope", "mesh.delegate")
    made = process.run("keys", "create", "--config", str(process.settings), *who)
    assert made.returncode == 0, made.stderr
    (folder / "mesh.key").write_text(made.stdout.strip())
