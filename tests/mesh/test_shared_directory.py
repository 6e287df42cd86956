"""Two server processes on one data directory: what one does, the other sees."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from colonnade.client import Client, Upload
from colonnade.v1.turns_pb2 import (
    FINISH_REASON_CANCELLED,
    FINISH_REASON_INTERRUPTED,
    TURN_STATE_RUNNING,
)
from fakes.chat_server import ChatServerDouble, Stream
from mesh.server_process import ServerProcess, upstream_settings
from mesh.test_killed_server import WORDS, read_some

SHARED = "[server]\nreplicas = 2\n"


def beside(first: ServerProcess, name: str = "second", settings: str = SHARED) -> ServerProcess:
    """Another process on the first one's data directory, not started yet."""
    own = first.folder / name
    own.mkdir()
    other = ServerProcess(own, settings)
    text = other.settings.read_text().replace(str(own / "data"), str(first.folder / "data"))
    other.settings.write_text(text)
    return other


@contextmanager
def two(folder: Path, settings: str = "") -> Iterator[tuple[ServerProcess, ServerProcess]]:
    """Two that serve."""
    with (
        ServerProcess(folder, SHARED + settings) as first,
        beside(first, settings=SHARED + settings) as second,
    ):
        yield first, second


def found(client: Client, query: str) -> set[str]:
    hits = client.search(query, collections=["shared"], strategy="keyword").hits
    return {hit.chunk.uri for hit in hits}


def test_each_finds_what_the_other_has_taken_in(tmp_path: Path) -> None:
    with two(tmp_path) as servers, servers[0].client() as one, servers[1].client() as other:
        one.knowledge.ingest([Upload("a.md", b"About lanterns.")], "shared")
        assert found(other, "lanterns") == {"a.md"}
        other.knowledge.ingest([Upload("b.md", b"About orchards, and lanterns.")], "shared")
        assert found(one, "orchards") == {"b.md"}
        [document] = [d for d in one.knowledge.documents("shared") if d.uri == "a.md"]
        one.knowledge.delete_document(document.name)
        assert found(other, "lanterns") == found(one, "lanterns") == {"b.md"}
        other.knowledge.delete_collection("shared")
        one.knowledge.ingest([Upload("c.md", b"About meadows.")], "shared")
        assert found(other, "lanterns meadows") == {"c.md"}


def test_what_others_delete_is_gone_here_after_a_restart(tmp_path: Path) -> None:
    with two(tmp_path) as (first, second):
        with first.client() as one, second.client() as other:
            one.knowledge.ingest([Upload("a.md", b"About lanterns.")], "shared")
            assert found(other, "lanterns") == {"a.md"}
        kept = tmp_path / "data" / "replica-2"
        assert len([path.name for path in kept.glob("*/*/*")]) == 2
        second.stop()
        with first.client() as one:
            one.knowledge.delete_collection("shared")
        second.start()
        assert [path.name for path in kept.glob("*/*/*")] == []


def test_no_more_may_come_than_the_setting_lets_in(tmp_path: Path) -> None:
    with two(tmp_path) as (first, second):
        third = beside(first, "third")
        refused = third.run("serve", "--config", str(third.settings), "--address", "127.0.0.1:0")
        assert refused.returncode == 3
        pids = (str(first.process.pid), str(second.process.pid))
        assert all(pid in refused.stderr for pid in pids)
        assert "server.replicas" in refused.stderr
        assert second.stop() == 0
        alone = beside(first, "alone", settings="")
        refused = alone.run("serve", "--config", str(alone.settings), "--address", "127.0.0.1:0")
        assert refused.returncode == 3
        assert "is in use by another process" in refused.stderr


async def test_a_second_process_leaves_the_turns_of_the_first_alone(tmp_path: Path) -> None:
    async with ChatServerDouble(Stream.of(*WORDS[:300], pause=0.04)) as upstream:
        await asyncio.to_thread(_left_alone, tmp_path, upstream.url)
        assert len(upstream.requests) == 1


def _left_alone(folder: Path, url: str) -> None:
    with ServerProcess(folder, SHARED + upstream_settings(url)) as first:
        with first.client() as client:
            _, turn_id = read_some(client, 5)
        with beside(first, settings=SHARED + upstream_settings(url)) as second:
            assert _settled(second) == 0
            with second.client() as client:
                assert client.turn(turn_id).state == TURN_STATE_RUNNING
                with client.resume(turn_id) as stream:
                    answer = stream.read_to_end()
        assert answer.text == "".join(WORDS[:300])
        assert answer.finish_reason == "STOP"


async def test_the_only_process_settles_at_once_what_all_have_left(tmp_path: Path) -> None:
    async with ChatServerDouble(Stream.of(*WORDS, pause=0.02)) as upstream:
        await asyncio.to_thread(_settles_at_once, tmp_path, upstream.url)


def _settles_at_once(folder: Path, url: str) -> None:
    with two(folder, upstream_settings(url)) as (first, second):
        turns: list[str] = []
        for server in (first, second):
            with server.client() as client:
                request_id = f"of-{server.folder.name}"
                turns.append(read_some(client, 8, request_id)[1])
        for server in (first, second):
            server.kill()
        first.start()
        assert _settled(first) == 2
        with first.client() as client:
            ends = [client.turn(turn).finish_reason for turn in turns]
        second.start()
        assert _settled(second) == 0
    assert ends == [FINISH_REASON_INTERRUPTED] * 2


async def test_a_cancel_on_another_process_stops_the_provider(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    async with ChatServerDouble(Stream.of(*WORDS, pause=0.02)) as upstream:

        def gone() -> None:
            asyncio.run_coroutine_threadsafe(upstream.gone.wait(), loop).result(10)

        await asyncio.to_thread(_cancelled, tmp_path, upstream.url, gone)


def _cancelled(folder: Path, url: str, gone: Callable[[], None]) -> None:
    with two(folder, upstream_settings(url)) as (first, second):
        with first.client() as client:
            _, turn_id = read_some(client, 8)
        with second.client() as client:
            client.cancel(turn_id)
            began = time.monotonic()
            gone()
            assert time.monotonic() - began < 1.0
            with client.resume(turn_id) as stream:
                assert stream.read_to_end().finish_reason == "CANCELLED"
            assert client.turn(turn_id).finish_reason == FINISH_REASON_CANCELLED


async def test_a_reader_goes_on_where_another_process_lives(tmp_path: Path) -> None:
    async with ChatServerDouble(Stream.of(*WORDS, pause=0.02)) as upstream:
        await asyncio.to_thread(_goes_on, tmp_path, upstream.url)
        assert len(upstream.requests) == 1


def _goes_on(folder: Path, url: str) -> None:
    with two(folder, upstream_settings(url)) as (first, second):
        with first.client() as client:
            seen, turn_id = read_some(client, 12)
        first.kill()
        with second.client() as client, client.resume(turn_id, seen[-1].sequence) as stream:
            later = list(stream)
            turn = client.turn(turn_id)
        numbers = [event.sequence for event in (*seen, *later)]
        assert numbers == list(range(1, turn.last_sequence + 1))
        assert turn.finish_reason == FINISH_REASON_INTERRUPTED
        told = "".join(event.delta.text for event in (*seen, *later))
        assert told == turn.answer.parts[0].text


async def test_a_client_that_knows_both_goes_on_by_itself(tmp_path: Path) -> None:
    async with ChatServerDouble(Stream.of(*WORDS, pause=0.02)) as upstream:
        await asyncio.to_thread(_by_itself, tmp_path, upstream.url)
        assert len(upstream.requests) == 1


def _by_itself(folder: Path, url: str) -> None:
    """One after the other dies, the owner among them; there is always one that lives."""
    with two(folder, upstream_settings(url)) as servers:
        addresses = ",".join(server.address for server in servers)
        with Client(address=f"ipv4:{addresses}") as client, client.stream("Count.") as stream:
            for event in stream:
                if event.delta.text and event.sequence > 8:
                    break
            for server in servers:
                server.kill()
                server.start()
            answer = stream.read_to_end()
        assert answer.finish_reason == "INTERRUPTED"
        assert answer.text.startswith("word0 word1 ")


def _settled(server: ServerProcess) -> int:
    """How many turns its last start has settled."""
    lines = [json.loads(line) for line in server.log.read_text().splitlines() if line[0] == "{"]
    return int([line for line in lines if line["event"] == "serving"][-1]["settled_turns"])
