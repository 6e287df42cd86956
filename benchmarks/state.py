"""Turns settled a second through the state's port, beside the bare drivers writing the same rows.

    python -m benchmarks.state [--json] [--seconds 31]

A turn is a claim (its id looked up, then the id, the turn and a message written), three appends of
an event, and a settlement with a message and a ledger line, which goes with the last append. Of all
turns that run at once the claims share one commit, and so does each append, as the server's
committer brings them: four commits one after the other. The bare drivers write each turn in one
commit, or as many turns in one as run at once here; they look nothing up, decide nothing, and find
their values ready, encoded before their time is taken. Everybody takes turns through the whole
time, in slices, on stores that a power cut would not harm; PostgreSQL is started for it. The last
line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import psycopg
import uvloop

from adapters.state.postgres.options import PostgresOptions
from adapters.state.postgres.state import open_postgres
from adapters.state.sqlite.connection import writing
from adapters.state.sqlite.options import Durability, SqliteOptions
from adapters.state.sqlite.state import open_sqlite
from benchmarks.settling import bare, ours
from benchmarks.settling.rows import Plan, a_plan
from core.ports.state import State

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from servers.postgres import PostgresServer

AT_ONCE = (1, 32, 500)
HEADLINE = 32
_SLICE_TURNS = {1: 20, 32: 128, 500: 500}
"""Turns between two changes of who is measured."""

Work = Callable[[list[Plan]], Awaitable[float]]
"""Settles the plans, and says how many seconds it took, what was prepared for it not counted."""


@dataclass
class Racer:
    """One way to write turns, and what it has done so far."""

    name: str
    work: Work
    turns: int = 0
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        """Turns a second."""
        return self.turns / self.seconds if self.seconds else 0.0


@dataclass
class Race:
    """All ways, by how many turns run at once."""

    racers: dict[int, list[Racer]] = field(default_factory=dict)
    _names: Iterator[int] = field(default_factory=count)

    async def run(self, seconds: float) -> None:
        """Slices in turn until the time is up, after one of each that does not count."""
        until = time.perf_counter() + seconds
        for at_once in self.racers:
            await self._slices(at_once)
        for racers in self.racers.values():
            for racer in racers:
                racer.turns, racer.seconds = 0, 0.0
        while time.perf_counter() < until:
            for at_once in self.racers:
                await self._slices(at_once)

    async def _slices(self, at_once: int) -> None:
        for racer in self.racers[at_once]:
            wanted = _SLICE_TURNS[at_once]
            plans = [a_plan(next(self._names)) for _ in range(wanted)]
            racer.seconds += await racer.work(plans)
            racer.turns += wanted


def through_port(state: State, at_once: int) -> Work:
    """Ours."""

    async def work(plans: list[Plan]) -> float:
        began = time.perf_counter()
        for at in range(0, len(plans), at_once):
            await ours.settle(state, plans[at : at + at_once])
        return time.perf_counter() - began

    return work


def on_sqlite(connection: sqlite3.Connection, group: int) -> Work:
    """The bare driver."""

    async def work(plans: list[Plan]) -> float:
        groups = list(bare.grouped(plans, group))
        began = time.perf_counter()
        for each in groups:
            bare.write_sqlite(connection, each)
        return time.perf_counter() - began

    return work


def on_postgres(connection: psycopg.Connection, group: int) -> Work:
    """The bare driver."""

    async def work(plans: list[Plan]) -> float:
        groups = [bare.in_postgres_words(each) for each in bare.grouped(plans, group)]
        began = time.perf_counter()
        for each in groups:
            bare.write_postgres(connection, each)
        return time.perf_counter() - began

    return work


async def measure(seconds: float) -> dict[str, float]:
    """Open the stores, run the race, and say what came of it."""
    async with AsyncExitStack() as open_things:
        enter = open_things.enter_context
        server = enter(PostgresServer.started(durable=True))
        folder = Path(enter(tempfile.TemporaryDirectory()))
        postgres = await open_postgres(PostgresOptions(server.url(server.new_database())))
        open_things.push_async_callback(postgres.close)
        sqlite = await open_sqlite(SqliteOptions(folder / "ours.sqlite", Durability.POWER))
        open_things.push_async_callback(sqlite.close)
        bare_url = await _bare_database(server)
        bare_postgres = enter(closing(psycopg.connect(bare_url, autocommit=True)))
        bare_postgres.execute("SET colonnade.every_tenant = 'on'")
        bare_sqlite = enter(closing(await _bare_file(folder / "bare.sqlite")))
        await ours.prepare(postgres)
        await ours.prepare(sqlite)
        race = Race()
        for at_once in AT_ONCE:
            race.racers[at_once] = [
                Racer("postgres", through_port(postgres, at_once)),
                Racer("bare_postgres", on_postgres(bare_postgres, at_once)),
                Racer("bare_postgres_alone", on_postgres(bare_postgres, 1)),
                Racer("sqlite", through_port(sqlite, at_once)),
                Racer("bare_sqlite", on_sqlite(bare_sqlite, at_once)),
                Racer("bare_sqlite_alone", on_sqlite(bare_sqlite, 1)),
            ]
        await race.run(seconds)
        return report(race)


async def _bare_database(server: PostgresServer) -> str:
    """A database with the same tables, in which the drivers find their conversation."""
    url = server.url(server.new_database())
    state = await open_postgres(PostgresOptions(url))
    await ours.prepare(state)
    await state.close()
    return url


async def _bare_file(path: Path) -> sqlite3.Connection:
    options = SqliteOptions(path, Durability.POWER)
    state = await open_sqlite(options)
    await ours.prepare(state)
    await state.close()
    return writing(options)


def report(race: Race) -> dict[str, float]:
    """The headline's keys, and those of each number of turns at once."""
    result: dict[str, float] = {}
    for at_once, racers in race.racers.items():
        rates = {racer.name: racer.rate for racer in racers}
        for store in ("postgres", "sqlite"):
            ratio = rates[store] / rates[f"bare_{store}"]
            result[f"ratio_{store}_at_{at_once}"] = round(ratio, 3)
            if at_once == HEADLINE:
                result[f"{store}_turns_per_s"] = round(rates[store], 1)
                result[f"bare_{store}_turns_per_s"] = round(rates[f"bare_{store}"], 1)
                result[f"ratio_{store}"] = round(ratio, 3)
        for name, rate in rates.items():
            result[f"{name}_turns_per_s_at_{at_once}"] = round(rate, 1)
    return result


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=31.0, help="how long to measure")
    parser.add_argument("--json", action="store_true", help="nothing but the last line")
    arguments = parser.parse_args()
    sys.setswitchinterval(0.001)  # as the server does
    result = uvloop.run(measure(arguments.seconds))
    if not arguments.json:
        for name, value in result.items():
            print(f"{name:40} {value:10}")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
