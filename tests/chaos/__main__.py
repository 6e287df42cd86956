"""python -m tests.chaos: a bad hour of four providers, a kill in its middle, one line of JSON.

A gateway in a process of its own answers `--requests` streamed requests of `--clients` clients
from four deployments: one is down, one cuts a fifth of its streams, one is slow, one is well.
Half way the process gets SIGKILL and is started again. Afterwards what every client heard, what
every provider generated and what was booked are held against each other; 1 where that shows
anything wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
_ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(_ROOT / part) for part in ("tests", "cmd", "clients/python", "")]

from chaos.crowd import Crowd  # noqa: E402
from chaos.providers import bad_hour, settings_of  # noqa: E402
from chaos.verdict import figures, read_books  # noqa: E402
from fakes.provider_server import ProviderServer  # noqa: E402
from mesh.server_process import ServerProcess  # noqa: E402

LEARNING = 0.1
"""The share of the requests after a start that teach the breakers."""


async def run(
    requests: int, clients: int, seed: int, folder: Path, *, kill: bool
) -> dict[str, object]:
    """One bad hour."""
    began = time.monotonic()
    async with ProviderServer(bad_hour(seed)) as providers:
        server = ServerProcess(folder, settings_of(providers))
        await asyncio.to_thread(server.start)
        crowd = Crowd(server.address, requests, clients)
        crowd.alive.set()
        asking = asyncio.create_task(crowd.run())
        learning = set(range(int(LEARNING * requests)))
        if kill:
            await crowd.half.wait()
            await _kill(server, crowd)
            learning |= set(range(crowd.begun - clients, crowd.begun + int(LEARNING * requests)))
        await asking
        await asyncio.to_thread(server.stop)
    books = read_books(folder / "data" / "state.sqlite")
    found = figures(crowd, providers.records, books, learning)
    return {**found, "seconds": round(time.monotonic() - began, 1)}


async def _kill(server: ServerProcess, crowd: Crowd) -> None:
    crowd.alive.clear()
    crowd.lives += 1  # before anybody can see it
    await asyncio.to_thread(server.kill)
    await asyncio.to_thread(server.start)
    crowd.alive.set()


def main() -> int:
    """Run it, and say in JSON what was seen."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--requests", type=int, default=2_000)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--no-kill", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="colonnade-chaos-") as folder:
        kill = not given.no_kill
        told = asyncio.run(run(given.requests, given.clients, given.seed, Path(folder), kill=kill))
    print(json.dumps(told))
    return 1 if told["violations"] else 0


if __name__ == "__main__":
    sys.exit(main())
