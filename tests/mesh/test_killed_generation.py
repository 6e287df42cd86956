"""A server that is killed under bare generations: each call of the provider is booked once."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from colonnade.client import ColonnadeError
from fakes.chat_server import ChatServerDouble, Stream
from mesh.server_process import ServerProcess, upstream_settings

WORDS = [f"w{number} " for number in range(40)]
CLIENTS = 8


async def test_nothing_is_booked_twice_and_nothing_is_unaccounted(tmp_path: Path) -> None:
    async with ChatServerDouble(Stream.of(*WORDS, pause=0.02)) as upstream:
        await asyncio.to_thread(_killed_three_times, tmp_path, upstream)
        booked = ledger(tmp_path / "data" / "state.sqlite")
    assert len(booked) == len(set(booked)) == len(upstream.requests)
    assert any(estimated for _, _, estimated in booked)


def _killed_three_times(folder: Path, upstream: ChatServerDouble) -> None:
    with ServerProcess(folder, upstream_settings(upstream.url)) as server:
        for _ in range(3):
            before = len(upstream.requests)
            with ThreadPoolExecutor(CLIENTS) as pool:
                for _ in range(CLIENTS):
                    pool.submit(_generate, server)
                _until_called(upstream, before + CLIENTS)
                server.kill()
            server.start()
        with server.client() as client:
            client.models.generate("Count.", timeout=20)


def _generate(server: ServerProcess) -> None:
    with server.client() as client, suppress(ColonnadeError):
        list(client.models.stream("Count.", timeout=20))


def _until_called(upstream: ChatServerDouble, count: int) -> None:
    for _ in range(500):
        if len(upstream.requests) >= count:
            return
        time.sleep(0.01)
    raise AssertionError(f"the provider was asked {len(upstream.requests)} times, not {count}")


def ledger(path: Path) -> list[tuple[str, int, bool]]:
    """Each line: on whose behalf, which attempt, and whether it is an estimate."""
    with sqlite3.connect(path) as store:
        rows = store.execute("SELECT unit, attempt, estimated FROM ledger").fetchall()
    return [(unit, attempt, bool(estimated)) for unit, attempt, estimated in rows]
