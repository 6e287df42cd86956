"""One hard budget over two real processes, of which one is killed: the ledger stays within it.

Only real processes show that a node reports what it spent, and that another counts a dead one's.
"""

from __future__ import annotations

import asyncio
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path

from colonnade.client import ColonnadeError
from fakes.chat_server import ChatServerDouble, Stream
from mesh.server_process import ServerProcess, upstream_settings
from mesh.test_shared_directory import SHARED, beside

LIMIT = Decimal("0.004")
"""A token of output costs 0.000002, so that each call may cost about 0.0004: some ten fit."""
BUDGET = f"""
[budgets.small]
limit = "{LIMIT}"
period = "month"
each = ["tenant"]
"""
OUTPUT = 180


async def test_it_holds_over_two_processes_a_kill_and_a_restart(tmp_path: Path) -> None:
    words = [f"w{number} " for number in range(OUTPUT - 20)]
    async with ChatServerDouble(Stream.of(*words)) as upstream:
        await asyncio.to_thread(_spent, tmp_path, upstream.url)
        costs = _ledger(tmp_path / "data" / "state.sqlite")
    assert len(costs) == len(upstream.requests)
    assert Decimal("0.4") * LIMIT < sum(costs) <= LIMIT


def _spent(folder: Path, url: str) -> None:
    settings = SHARED + upstream_settings(url) + BUDGET
    with ServerProcess(folder, settings) as first, beside(first, settings=settings) as second:
        with ThreadPoolExecutor(8) as pool:
            answered = list(pool.map(_generate, [first, second] * 4))
        assert sum(answered) >= 4
        first.kill()
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(_generate, [second] * 8))
        first.start()
        assert not all(_generate(first) for _ in range(3))
        assert second.stop() == 0
        shown = first.run("budgets", "list")
        assert "small?tenant=" in shown.stdout, shown.stderr


def _generate(server: ServerProcess) -> bool:
    """Whether it was answered; else it was refused for its budget, and for nothing else."""
    with server.client() as client:
        try:
            client.models.generate("Count.", max_output_tokens=OUTPUT, timeout=20)
        except ColonnadeError as error:
            if error.reason != "BUDGET_SPENT":
                raise
            return False
        return True


def _ledger(path: Path) -> list[Decimal]:
    with sqlite3.connect(path) as store:
        return [Decimal(cost) for (cost,) in store.execute("SELECT cost FROM ledger")]
