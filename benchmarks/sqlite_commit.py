"""Commits a second of the state on SQLite, beside bare sqlite3 doing the same statements.

    python -m benchmarks.sqlite_commit [--durability power] [--transactions 5000] [--busy 0.5]

One transaction is claim-like: it looks an id up, then writes the id, a turn, a message and an
event. `--busy` keeps the event loop busy for that share of the time, in slices of 2 ms, as a
server would that has other work. CPU per transaction is what to compare on a machine that is
not idle.
"""

from __future__ import annotations

import argparse
import asyncio
import sqlite3
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import uvloop

from adapters.state.encoding.conversations import message_row
from adapters.state.encoding.turns import event_rows, idempotency_row, turn_row
from adapters.state.rows import conversations, turn_log, turns
from adapters.state.sqlite.connection import writing
from adapters.state.sqlite.opening import prepare
from adapters.state.sqlite.options import Durability, SqliteOptions
from adapters.state.sqlite.state import SqliteState, open_sqlite
from core.conversations import Conversation
from core.identifiers import (
    BootId,
    ConversationId,
    MessageId,
    RequestId,
    TenantId,
    TurnId,
    UserId,
)
from core.messages import Message, Role, StoredMessage
from core.turns.rows import (
    CHAT,
    IdempotencyKey,
    IdempotencyRecord,
    LoggedEvent,
    Turn,
    TurnState,
)

TENANT, USER, TALK = TenantId("acme"), UserId("ann"), ConversationId("talk")
NOW = datetime(2026, 3, 1, tzinfo=UTC)
EVENT = LoggedEvent(1, 1, 1, "delta", b"x" * 120)
SLICE = 0.002


def resident_mb() -> float:
    """Memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6


@dataclass(frozen=True, slots=True)
class Claim:
    """What one claim writes."""

    turn: Turn
    record: IdempotencyRecord
    message: StoredMessage


def a_claim(number: int) -> Claim:
    """The claim with this number; no two share a key."""
    id = TurnId(f"turn-{number:020}")
    message = MessageId(f"message-{number:020}")
    key = IdempotencyKey(TENANT, USER, CHAT, RequestId(f"request-{number}"))
    words = Message.of(Role.USER, "How do I rotate the keys of a tenant?")
    return Claim(
        Turn(
            id, TENANT, USER, TurnState.RUNNING, 1, 1, BootId("boot"), "nonce", NOW, NOW, NOW,
            key.request_id, TALK, message,
        ),
        IdempotencyRecord(key, id, "digest"),
        StoredMessage(message, TALK, None, words, NOW),
    )  # fmt: skip


def bare(options: SqliteOptions, count: int, group: int) -> tuple[float, float]:
    """Claims a second of the same statements on the driver, in one thread, and CPU s a claim."""
    prepare(options)
    connection = writing(options)
    connection.execute(
        "INSERT INTO conversation VALUES ('talk', 'acme', 'ann', '', 0, 0, NULL, '{}', '')"
    )
    started, cpu = time.perf_counter(), time.process_time()
    for number in range(count):
        if number % group == 0:
            connection.execute("BEGIN IMMEDIATE")
        bare_claim(connection, a_claim(number))
        if number % group == group - 1:
            connection.execute("COMMIT")
    return count / (time.perf_counter() - started), (time.process_time() - cpu) / count


def bare_claim(connection: sqlite3.Connection, claimed: Claim) -> None:
    """The statements of a claim."""
    key = claimed.record.key
    found = connection.execute(
        turn_log._FIND.sqlite.one, (TENANT, key.tenant, key.user, key.operation, key.request_id)
    )
    assert found.fetchone() is None
    connection.execute(turn_log._INSERT_IDEMPOTENCY.sqlite.one, idempotency_row(claimed.record))
    connection.execute(turns._INSERT.sqlite.one, turn_row(claimed.turn))
    connection.execute(
        conversations._ADD_MESSAGE.sqlite.one, (TENANT, *message_row(claimed.message))
    )
    connection.execute(turn_log._APPEND.sqlite.one, *event_rows(claimed.turn, [EVENT]))


async def claim(state: SqliteState, number: int) -> None:
    """One read and four writes."""
    claimed = a_claim(number)
    async with state.transaction(TENANT) as tx:
        assert await tx.idempotency.find(claimed.record.key) is None
        tx.idempotency.insert(claimed.record)
        tx.turns.insert(claimed.turn)
        tx.conversations.add_message(claimed.message)
        tx.events.append(claimed.turn, [EVENT])


async def append(state: SqliteState, number: int) -> None:
    """Lock a turn, write an event, move the turn on."""
    id = TurnId(f"turn-{number:020}")
    async with state.transaction(TENANT) as tx:
        turn = (await tx.turns.lock([id]))[id]
        tx.events.append(turn, [LoggedEvent(2, 1, 1, "delta", EVENT.body)])
        tx.turns.update(turn)


async def look_up(state: SqliteState, number: int) -> None:
    """One read of a snapshot."""
    async with state.snapshot(TENANT) as tx:
        assert await tx.turns.get(TurnId(f"turn-{number:020}")) is not None


async def measure(
    state: SqliteState,
    name: str,
    one: Callable[[SqliteState, int], Awaitable[None]],
    first: int,
    count: int,
    concurrency: int,
) -> None:
    """Print how `count` transactions went, so many of them at once."""
    numbers = iter(range(first, first + count))
    latencies: list[float] = []

    async def worker() -> None:
        for number in numbers:
            began = time.perf_counter()
            await one(state, number)
            latencies.append(time.perf_counter() - began)

    began, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(worker() for _ in range(concurrency)))
    took, cpu = time.perf_counter() - began, time.process_time() - cpu
    latencies.sort()
    p50, p99 = (latencies[int(len(latencies) * share)] * 1e3 for share in (0.5, 0.99))
    print(
        f"{name:8} {concurrency:4} at once: {count / took:8.0f}/s  p50 {p50:7.2f} ms  "
        f"p99 {p99:7.2f} ms  worst {latencies[-1] * 1e3:7.1f} ms  cpu {cpu / count * 1e6:5.0f} µs"
    )


async def keep_busy(share: float) -> None:
    """Hold the event loop for a share of each slice of time."""
    while True:
        until = time.perf_counter() + SLICE * share
        while time.perf_counter() < until:
            pass
        await asyncio.sleep(SLICE * (1 - share))


async def run(options: SqliteOptions, count: int, busy: float) -> None:
    """Everything, on one store."""
    before = resident_mb()
    state = await open_sqlite(options)
    print(f"open: {resident_mb() - before:.1f} MB more, {resident_mb():.0f} MB in all")
    async with state.transaction(TENANT) as tx:
        tx.conversations.insert(Conversation(TALK, USER, "", NOW, NOW))
    background = asyncio.create_task(keep_busy(busy)) if busy else None
    first = 0
    for concurrency in (1, 32, 500):
        for name, one in (("claim", claim), ("append", append), ("look up", look_up)):
            await measure(state, name, one, first, count, concurrency)
        first += count
    if background:
        background.cancel()
    print(f"after: {resident_mb():.0f} MB")
    await state.close()


def main() -> None:
    """Read the options and run."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--durability", choices=["process", "power"], default="process")
    arguments.add_argument("--transactions", type=int, default=5000)
    arguments.add_argument("--busy", type=float, default=0.0)
    chosen = arguments.parse_args()
    durability = Durability[chosen.durability.upper()]
    with tempfile.TemporaryDirectory() as folder:
        for group in (1, 64):
            options = SqliteOptions(Path(folder) / f"bare-{group}.sqlite", durability)
            rate, cpu = bare(options, chosen.transactions, group)
            print(f"bare sqlite3, {group:2} a commit: {rate:8.0f} claims/s  cpu {cpu * 1e6:.0f} µs")
        options = SqliteOptions(Path(folder) / "state.sqlite", durability)
        uvloop.run(run(options, chosen.transactions, chosen.busy))


if __name__ == "__main__":
    main()
