"""Several processes of one host on one store."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from adapters.state.sqlite.options import SqliteOptions
from adapters.state.sqlite.state import open_sqlite
from contracts.state_samples import ACME, a_turn
from core.identifiers import TurnId

ROOT = Path(__file__).parents[2]
COUNT = 150
PROGRAM = f"""
import asyncio, pathlib, sys
from dataclasses import replace
from adapters.state.sqlite.options import SqliteOptions
from adapters.state.sqlite.state import open_sqlite
from contracts.state_samples import ACME
from core.identifiers import TurnId

async def add_one(state):
    async with state.transaction(ACME) as tx:
        turn = (await tx.turns.lock([TurnId("turn-1")]))[TurnId("turn-1")]
        tx.turns.update(replace(turn, epoch=turn.epoch + 1))

async def main():
    state = await open_sqlite(SqliteOptions(pathlib.Path(sys.argv[1])))
    for _ in range({COUNT} // 5):
        await asyncio.gather(*(add_one(state) for _ in range(5)))
    await state.close()

asyncio.run(main())
"""


async def test_their_transactions_are_serial_in_effect(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    state = await open_sqlite(SqliteOptions(path))
    async with state.transaction(ACME) as tx:
        tx.turns.insert(a_turn(epoch=0))
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}
    command = (sys.executable, "-c", PROGRAM, str(path))
    children = [await asyncio.create_subprocess_exec(*command, env=environment) for _ in range(3)]
    codes = await asyncio.gather(*(child.wait() for child in children))
    async with state.snapshot(ACME) as tx:
        turn = await tx.turns.get(TurnId("turn-1"))
    await state.close()
    assert codes == [0, 0, 0]
    assert turn is not None
    assert turn.epoch == 3 * COUNT
