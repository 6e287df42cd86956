"""PostgreSQL's primary dies and its standby takes its place: whoever reads a turn waits a while."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from colonnade.client import Client
from fakes.chat_server import ChatServerDouble, Stream
from mesh.server_process import ServerProcess, upstream_settings
from servers.postgres import PostgresServer

WORDS = [f"w{number} " for number in range(30)]
STATE = '[state]\nadapter = "postgres"\nurl = { env = "TEST_STATE_URL" }\n'


async def test_a_stream_goes_on_over_a_failover(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of it is lost or said twice, and the next question is answered as well."""
    async with ChatServerDouble(Stream.of(*WORDS, pause=0.04)) as upstream:
        settings = STATE + upstream_settings(upstream.url)
        with PostgresServer.started() as primary, primary.standby() as standby:
            database = primary.new_database()
            url = primary.url(database).replace(
                f":{primary.port}/", f":{primary.port},127.0.0.1:{standby.port}/"
            )
            monkeypatch.setenv("TEST_STATE_URL", url)
            with ServerProcess(tmp_path, settings) as server:
                await asyncio.to_thread(_read_over_a_failover, server, primary, standby)
    assert len(upstream.requests) == 2


def _read_over_a_failover(
    server: ServerProcess, primary: PostgresServer, standby: PostgresServer
) -> None:
    with server.client() as client:
        events = []
        with client.stream("Count.", timeout=60) as stream:
            for event in stream:
                events.append(event.sequence)
                if len(events) == 4:
                    primary.kill()
                    standby.promote()
            assert stream.text == "".join(WORDS)
        assert events == list(range(1, len(events) + 1))
        assert _again(client) == "".join(WORDS)


def _again(client: Client) -> str:
    return client.ask("Count.", timeout=60).text
