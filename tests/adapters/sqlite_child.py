"""A process that commits until it is killed: `python sqlite_child.py PATH SEED`.

Each transaction writes a turn with as many events as the turn's `next_seq` says. Its number is
printed once the commit has returned.
"""

from __future__ import annotations

import asyncio
import random
import sys
from pathlib import Path

from adapters.state.sqlite.options import SqliteOptions
from adapters.state.sqlite.state import open_sqlite
from contracts.state_samples import ACME, a_turn, events
from core.identifiers import TurnId
from core.ports.state import State


async def commit(state: State, number: int, count: int) -> None:
    turn = a_turn(f"turn-{number}", next_seq=count + 1)
    async with state.transaction(ACME) as tx:
        if number % 2:
            assert await tx.turns.get(TurnId(turn.id)) is None
        tx.turns.insert(turn)
        for first in range(1, count + 1):
            tx.events.append(turn, events(first, 1, b"x" * 500))
    print(number, flush=True)


async def main(path: Path, seed: int) -> None:
    state = await open_sqlite(SqliteOptions(path))
    draws = random.Random(seed)
    numbers = iter(range(1_000_000))

    async def worker() -> None:
        for number in numbers:
            await commit(state, number, draws.choice((1, 5, 100)))

    await asyncio.gather(*(worker() for _ in range(8)))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
