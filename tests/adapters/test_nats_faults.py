"""NATS that restarts, dies, hangs or was never there."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from adapters.bus.nats import NatsBus, open_nats
from adapters.bus.nats_options import NatsOptions, NatsWatch
from contracts.buses import PATIENCE_S, Ear
from core.errors import Unavailable
from core.identifiers import BootId, Seconds, TenantId, TurnId
from core.ports.bus import Everyone, OwnerWanted, TurnChanged
from servers.nats import NatsServer

ACME = TenantId("acme")


def changed(number: int) -> TurnChanged:
    return TurnChanged(ACME, TurnId(f"t{number}"))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[NatsServer]:
    started = NatsServer(tmp_path / "nats")
    started.start()
    yield started
    started.stop()


@dataclass
class Witness:
    """Watches one bus."""

    dropped: int = 0
    causes: list[str] = field(default_factory=list)
    connections: int = 0
    stirred: asyncio.Event = field(default_factory=asyncio.Event)

    def watch(self) -> NatsWatch:
        return NatsWatch(self._drop, self._connect, self._disconnect)

    async def until(self, *, connections: int = 0, losses: int = 0) -> None:
        """Wait for so many connections made and connections lost, all in all."""
        async with asyncio.timeout(PATIENCE_S):
            while self.connections < connections or len(self.causes) < losses:
                self.stirred.clear()
                await self.stirred.wait()

    def _drop(self) -> None:
        self.dropped += 1

    def _connect(self) -> None:
        self.connections += 1
        self.stirred.set()

    def _disconnect(self, cause: str) -> None:
        self.causes.append(cause)
        self.stirred.set()


def options(server: NatsServer, **changes: object) -> NatsOptions:
    quick: dict[str, object] = {"backoff_cap": Seconds(0.1)}
    return NatsOptions((server.url,), **(quick | changes))  # type: ignore[arg-type]


async def heard_on(here: NatsBus, there: NatsBus, number: int) -> None:
    """A notice gets from one replica to the other."""
    ear = Ear(there, changed(number))
    await there.flushed()
    here.publish(changed(number))
    assert await ear.next() == changed(number)
    ear.leave()


async def test_restarted_three_times_under_subscribers(server: NatsServer) -> None:
    here_seen, there_seen = Witness(), Witness()
    here = await open_nats(options(server), here_seen.watch())
    there = await open_nats(options(server), there_seen.watch())
    turn, reload = Ear(there, changed(0)), Ear(there, Everyone.RELOAD)
    owner = Ear(there, BootId("b"))
    for times in range(1, 4):
        server.restart()
        await there_seen.until(connections=times + 1, losses=times)
        await here_seen.until(connections=times + 1, losses=times)
        assert (await turn.next(), await reload.next()) == (changed(0), Everyone.RELOAD)
        wanted = OwnerWanted(BootId("b"), ACME, TurnId("t"))
        here.publish(wanted)
        assert await owner.next() == wanted
        assert (turn.heard(), reload.heard(), owner.heard()) == ([], [], [])
    await here.close()
    await there.close()


async def test_killed_for_good_publishing_returns_at_once_and_counts(server: NatsServer) -> None:
    witness = Witness()
    bus = await open_nats(options(server), witness.watch())
    server.kill()
    await witness.until(losses=1)
    for number in range(20_000):
        bus.publish(changed(number))
    assert witness.dropped == 20_000
    started = time.monotonic()
    await bus.close()
    assert time.monotonic() - started < 1.0


async def test_its_own_listeners_hear_while_it_is_away(server: NatsServer) -> None:
    witness = Witness()
    bus = await open_nats(options(server), witness.watch())
    server.kill()
    await witness.until(losses=1)
    ear = Ear(bus, changed(1))
    bus.publish(changed(1))
    assert await ear.next() == changed(1)
    await bus.close()


async def test_a_node_starts_without_it_and_connects_once_it_is_there(server: NatsServer) -> None:
    here_seen, witness = Witness(), Witness()
    here = await open_nats(options(server), here_seen.watch())
    server.stop()
    there = await open_nats(options(server), witness.watch())
    assert not there.connected
    assert "Connect" in there.cause
    server.start()
    await witness.until(connections=1)
    await here_seen.until(connections=2)
    await heard_on(here, there, 1)
    await here.close()
    await there.close()


async def test_an_outage_tells_each_cause_once(server: NatsServer) -> None:
    witness, tries = Witness(), asyncio.Semaphore(0)

    def draw() -> float:
        tries.release()
        return 0.0

    bus = await open_nats(options(server), witness.watch(), draw)
    server.kill()
    for _ in range(5):
        await tries.acquire()
    lost, refused = witness.causes
    assert "lost" in lost
    assert "Connect" in refused
    await bus.close()


async def test_where_it_is_required_opening_without_it_fails(server: NatsServer) -> None:
    server.stop()
    with pytest.raises(Unavailable, match="NATS"):
        await open_nats(options(server, required=True))


async def test_a_server_that_hangs_is_given_up_and_found_again(server: NatsServer) -> None:
    witness = Witness()
    bus = await open_nats(
        options(server, heartbeat=Seconds(0.2), connect_timeout=Seconds(0.5)), witness.watch()
    )
    ear = Ear(bus, changed(1))
    await bus.flushed()
    os.kill(server.process_id, signal.SIGSTOP)
    try:
        await witness.until(losses=1)
        for number in range(20_000):
            bus.publish(changed(number))
        assert witness.dropped >= 10_000
    finally:
        os.kill(server.process_id, signal.SIGCONT)
    await witness.until(connections=2)
    assert changed(1) == await ear.next()
    await bus.close()


async def test_what_does_not_fit_is_dropped_and_the_rest_arrives(server: NatsServer) -> None:
    witness = Witness()
    here = await open_nats(options(server, most_waiting=100), witness.watch())
    there = await open_nats(options(server))
    ears = [Ear(there, changed(number)) for number in range(300)]
    await there.flushed()
    for number in range(300):
        here.publish(changed(number))
    await here.flushed()
    await there.flushed()
    assert [await ear.next() for ear in ears[:100]] == [changed(n) for n in range(100)]
    assert [ear.heard() for ear in ears[100:]] == [[]] * 200
    assert witness.dropped == 200
    await here.close()
    await there.close()


def flood(port: int, subject: str) -> None:
    """Publish 32 MB without reading anything."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b'CONNECT {"verbose": false}\r\n')
        message = b"PUB %s 16384\r\n%s\r\n" % (subject.encode(), bytes(16384))
        for _ in range(2_000):
            connection.sendall(message)


async def test_a_replica_that_reads_too_slowly_is_cut_off_and_comes_back(tmp_path: Path) -> None:
    """The server drops a client whose backlog grows beyond `max_pending`."""
    server = NatsServer(tmp_path / "nats", "max_payload: 32768\nmax_pending: 65536\n")
    server.start()
    witness = Witness()
    slow = await open_nats(options(server), witness.watch())
    ear = Ear(slow, changed(1))
    await slow.flushed()
    flooding = threading.Thread(target=flood, args=(server.port, "colonnade.turn.acme.t1"))
    flooding.start()
    flooding.join()  # meanwhile the loop stands still, and so does reading
    await witness.until(losses=1, connections=2)
    assert await ear.next() == changed(1)
    here = await open_nats(options(server))
    await heard_on(here, slow, 7)
    await here.close()
    await slow.close()
    server.stop()
