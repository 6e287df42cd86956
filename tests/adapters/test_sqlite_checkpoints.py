"""The write-ahead log stays small while writers keep writing and readers keep reading."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from adapters.state.sqlite import checkpoints
from adapters.state.sqlite.options import SqliteOptions
from adapters.state.sqlite.state import SqliteState, open_sqlite
from contracts.state_samples import ACME, a_turn, events
from core.identifiers import Seconds, TurnId

PAGE = 4096
WRITTEN_PAGES = 5_000


async def write_much(state: SqliteState, turn: str) -> None:
    """Many small transactions, as they come from a server under load."""
    for number in range(1, WRITTEN_PAGES // 20 + 1):
        async with state.transaction(ACME) as tx:
            tx.events.append(a_turn(turn), events(number, 1, b"x" * PAGE * 5))
        await asyncio.sleep(0)


async def read_much(state: SqliteState, stop: asyncio.Event) -> None:
    """Snapshots that overlap, so that there is always one open."""
    while not stop.is_set():
        async with state.snapshot(ACME) as tx:
            await tx.events.read(TurnId("turn-1"), 0, 1)
            await asyncio.sleep(0.02)


def names(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir()}


def log_size(folder: Path) -> int:
    return (folder / "state.sqlite-wal").stat().st_size


@pytest.mark.clocked
async def test_it_is_bounded_under_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "RESTART_FRAMES", 200)
    monkeypatch.setattr(checkpoints, "TRUNCATE_FRAMES", 800)
    options = SqliteOptions(tmp_path / "state.sqlite", checkpoint_interval=Seconds(0.01))
    state = await open_sqlite(options)
    stop = asyncio.Event()
    readers = [asyncio.create_task(read_much(state, stop)) for _ in range(2)]
    await asyncio.gather(*(write_much(state, f"turn-{number}") for number in range(1, 5)))
    size = log_size(tmp_path)
    stop.set()
    await asyncio.gather(*readers)
    await state.close()
    assert size < WRITTEN_PAGES * PAGE / 2


async def test_closing_leaves_no_log_behind(tmp_path: Path) -> None:
    state = await open_sqlite(SqliteOptions(tmp_path / "state.sqlite"))
    await write_much(state, "turn-1")
    await state.close()
    assert names(tmp_path) == {"state.sqlite", "state.sqlite.opening"}


async def test_an_old_snapshot_only_delays_it(tmp_path: Path) -> None:
    options = SqliteOptions(tmp_path / "state.sqlite", checkpoint_interval=Seconds(0.01))
    state = await open_sqlite(options)
    async with state.snapshot(ACME) as tx:
        assert await tx.events.read(TurnId("turn-1"), 0, 1) == []
        await write_much(state, "turn-1")
        assert await tx.events.read(TurnId("turn-1"), 0, 1) == []
    await write_much(state, "turn-2")
    async with state.snapshot(ACME) as tx:
        assert len(await tx.events.read(TurnId("turn-1"), 0, 1)) == 1
    await state.close()
