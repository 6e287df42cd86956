"""A server moves from its file to PostgreSQL, and its callers notice nothing."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from colonnade.client import Client, Upload
from fakes.chat_server import ChatServerDouble, Stream
from mesh.server_process import ServerProcess, upstream_settings
from mesh.test_killed_server import read_some
from servers.postgres import PostgresServer


def seen_by(client: Client, conversation: str) -> tuple[object, ...]:
    """What a caller could look up, whichever store there is."""
    events, turn_id = read_some(client, 100)
    found = client.search("lantern", collections=["kept"], strategy="keyword")
    return (
        [event.SerializeToString() for event in events],
        client.turn(turn_id),
        [(hit.chunk.uri, hit.chunk.text) for hit in found.hits],
        [message.SerializeToString() for message in client.conversations.messages(conversation)],
    )


async def test_what_was_in_the_file_is_in_the_server(
    tmp_path: Path, postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = postgres_server.new_database()
    monkeypatch.setenv("TEST_STATE_URL", postgres_server.url(database))
    async with ChatServerDouble(Stream.of("Once, ", "and for all.")) as upstream:
        await asyncio.to_thread(_moved, tmp_path, upstream.url)
        assert len(upstream.requests) == 2  # what was answered before is not asked again


def _moved(folder: Path, url: str) -> None:
    with ServerProcess(folder, upstream_settings(url), demo_key=False) as server:
        secret = server.run("keys", "create", "--config", str(server.settings)).stdout.strip()
        with server.client(secret) as client:
            client.knowledge.ingest([Upload("a.md", b"About a lantern.")], "kept")
            conversation = client.conversations.create().name
            client.ask("Is it kept?", conversation=conversation)
            before = seen_by(client, conversation)
        store = folder / "data" / "state.sqlite"
        postgres = '[state]\nadapter = "postgres"\nurl = { env = "TEST_STATE_URL" }\n'
        old = server.settings.read_text()
        settings = folder / "new.toml"
        settings.write_text(old.replace(str(folder / "data"), str(folder / "new")) + postgres)
        copy = ("copy-state", str(store), "--config", str(settings), "--output", "json")
        refused = server.run(*copy)
        assert refused.returncode == 3
        assert "is in use by another process" in refused.stderr
        server.stop()
        copied = server.run(*copy)
        assert copied.returncode == 0, copied.stderr
        rows = json.loads(copied.stdout)
        assert rows["turn"] == rows["idempotency"] == 2
        assert rows["chunk_vectors"] == rows["api_key"] == 1
        again = server.run(*copy)
        assert again.returncode == 1
        assert "is not empty" in again.stderr
        server.settings.write_text(settings.read_text())
        server.start()
        with server.client(secret) as client:
            assert seen_by(client, conversation) == before
        assert not (folder / "new" / "state.sqlite").exists()
