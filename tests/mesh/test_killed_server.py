"""A server that is killed in mid-stream contradicts nothing and charges nothing twice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from colonnade.client import Client, ColonnadeError
from colonnade.v1.chat_pb2 import ChatRequest
from colonnade.v1.messages_pb2 import Message, Part
from colonnade.v1.turns_pb2 import FINISH_REASON_INTERRUPTED, TURN_STATE_FINISHED, TurnEvent
from fakes.chat_server import ChatServerDouble, Silence, Stream
from mesh.server_process import ServerProcess, upstream_settings

WORDS = [f"word{number} " for number in range(400)]


def read_some(
    client: Client, count: int, request_id: str = "the-one"
) -> tuple[list[TurnEvent], str]:
    """The first events of a turn, raw, as a client without our comfort reads them."""
    request = ChatRequest(
        request_id=request_id, message=Message(parts=[Part(text="Count.")]), detach=True
    )
    call = client.stubs.chat.StreamChat(request, timeout=30, metadata=client.metadata)
    events: list[TurnEvent] = []
    for message in call:
        events.extend(message.events)
        if len(events) >= count:
            break
    call.cancel()
    return events, events[0].started.turn_id


async def test_what_a_client_saw_is_what_the_turn_was(tmp_path: Path) -> None:
    async with ChatServerDouble(Stream.of(*WORDS, pause=0.02)) as upstream:
        await asyncio.to_thread(_killed, tmp_path, upstream)
        assert len(upstream.requests) == 1  # neither the resume nor the repeat asked again


def _killed(folder: Path, upstream: ChatServerDouble) -> None:
    with ServerProcess(folder, upstream_settings(upstream.url)) as server:
        with server.client() as client:
            seen, turn_id = read_some(client, 12)
        server.kill()
        server.start()
        with server.client() as client:
            turn = client.turn(turn_id)
            text = "".join(event.delta.text for event in seen)
            assert turn.state == TURN_STATE_FINISHED
            assert turn.finish_reason == FINISH_REASON_INTERRUPTED
            assert text
            assert turn.answer.parts[0].text.startswith(text)
            with client.resume(turn_id, after_sequence=seen[-1].sequence) as rest:
                later = list(rest)
            numbers = [event.sequence for event in (*seen, *later)]
            assert numbers == list(range(1, turn.last_sequence + 1))
            assert later[-1].finished.reason == FINISH_REASON_INTERRUPTED
            told = text + "".join(event.delta.text for event in later)
            assert told == turn.answer.parts[0].text
            again, _ = read_some(client, turn.last_sequence)
            assert [e.SerializeToString() for e in again] == [
                e.SerializeToString() for e in (*seen, *later)
            ]
            assert turn.usage.estimated
            assert client.turn(turn_id).cost == turn.cost


async def test_a_client_that_resumes_by_itself_learns_how_it_ended(tmp_path: Path) -> None:
    async with ChatServerDouble(Stream.of(*WORDS, pause=0.02)) as upstream:
        answer = await asyncio.to_thread(_resumed, tmp_path, upstream)
    assert answer.startswith("INTERRUPTED word0 word1 ")


def _resumed(folder: Path, upstream: ChatServerDouble) -> str:
    with (
        ServerProcess(folder, upstream_settings(upstream.url)) as server,
        server.client() as client,
        client.stream("Count.") as stream,
    ):
        for event in stream:
            if event.delta.text and server.process.poll() is None and event.sequence > 8:
                server.kill()
                server.start()
                break
        answer = stream.read_to_end()
    return f"{answer.finish_reason} {answer.text}"


async def test_a_turn_that_had_released_nothing_runs_again(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    async with ChatServerDouble(Silence()) as upstream:

        def asked() -> None:
            asyncio.run_coroutine_threadsafe(upstream.came.wait(), loop).result(10)

        await asyncio.to_thread(_nothing_released, tmp_path, upstream, asked)
        assert len(upstream.requests) == 2


def _nothing_released(folder: Path, upstream: ChatServerDouble, asked: Callable[[], None]) -> None:
    with ServerProcess(folder, upstream_settings(upstream.url)) as server:
        with server.client() as client:
            _, turn_id = read_some(client, 1)
        asked()
        server.kill()
        upstream.reply = Stream.of("At last.")
        server.start()
        with server.client() as client:
            turn = client.turn(turn_id)
            assert turn.rerunnable
            with (
                pytest.raises(ColonnadeError) as refused,  # a resume never runs a turn again
                client.resume(turn_id, after_sequence=1) as rest,
            ):
                list(rest)
            assert refused.value.reason == "TURN_INTERRUPTED"
            again, same = read_some(client, 6)
            assert same == turn_id
            runs = [event.started.run for event in again if event.HasField("started")]
            assert runs == [1, 2]
            assert client.turn(turn_id).answer.parts[0].text == "At last."
