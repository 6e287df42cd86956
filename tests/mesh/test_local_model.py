"""The packaged model behind a real server: it stops when it is told to, and is free at once.

Times are real ones, since a caller's patience is.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from colonnade.client import Client
from colonnade.v1.chat_pb2 import CancelChatRequest, ChatRequest
from colonnade.v1.counting_pb2 import CountTokensRequest
from colonnade.v1.messages_pb2 import Message, Part
from colonnade.v1.models_pb2 import GenerationOptions
from colonnade.v1.turns_pb2 import FINISH_REASON_CANCELLED, TurnEvent
from mesh.server_process import ServerProcess

SETTINGS = """
[deployments.smollm2]
adapter = "llamacpp"
tier = "tiny"
context_window = 8192
max_output_tokens = 1024
slots = 1
"""
LONG_QUESTION = "Here is a list of words: " + "stone river cloud " * 1300 + "What are they about?"
STOPS_WITHIN_S = 1.0
PROMPTLY_S = 5.0
"""Far less than the rest of the long prompt would take; a busy machine is allowed for."""


def question(text: str, tokens: int) -> ChatRequest:
    options = GenerationOptions(max_output_tokens=tokens, temperature=0, top_p=1)
    return ChatRequest(message=Message(parts=[Part(text=text)]), options=options)


def events(client: Client, request: ChatRequest) -> Iterator[TurnEvent]:
    """The turn's events as they come."""
    call = client.stubs.chat.StreamChat(request, timeout=60, metadata=client.metadata)
    for message in call:
        yield from message.events


def cancel(client: Client, turn: str, rest: Iterator[TurnEvent]) -> list[TurnEvent]:
    """Cancel the turn, and what still comes of it, which must be over in time."""
    began = time.monotonic()
    client.stubs.chat.CancelChat(
        CancelChatRequest(turn_id=turn), timeout=10, metadata=client.metadata
    )
    last = list(rest)
    assert time.monotonic() - began < STOPS_WITHIN_S
    assert last[-1].finished.reason == FINISH_REASON_CANCELLED
    return last


def answers_promptly(client: Client) -> None:
    """The only slot of the model is free."""
    began = time.monotonic()
    said = (event.delta.text for event in events(client, question("Say hello.", 8)))
    assert next(text for text in said if text)
    assert time.monotonic() - began < PROMPTLY_S


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    with ServerProcess(tmp_path, SETTINGS) as server, server.client() as client:
        answers_at_all = list(events(client, question("Say hello.", 8)))  # loads the weights
        assert answers_at_all[-1].HasField("finished")
        yield client


def test_it_stops_while_it_reads_a_long_prompt(client: Client) -> None:
    counted = client.stubs.models.CountTokens(
        CountTokensRequest(text=LONG_QUESTION), timeout=10, metadata=client.metadata
    )
    assert 3_500 < counted.tokens < 5_000
    stream = events(client, question(LONG_QUESTION, 64))
    turn = next(stream).started.turn_id
    time.sleep(1.0)  # into the prompt, of which it reads some hundred tokens a second
    last = cancel(client, turn, stream)
    assert not any(event.delta.text for event in last)  # it was still reading
    answers_promptly(client)
    ended = client.turn(turn)
    assert ended.finish_reason == FINISH_REASON_CANCELLED
    assert not ended.rerunnable


def test_it_stops_in_the_middle_of_its_answer(client: Client) -> None:
    stream = events(client, question("Tell a very long story about a lighthouse.", 1000))
    turn = next(stream).started.turn_id
    heard = ""
    while len(heard) < 40:
        heard += next(stream).delta.text
    last = cancel(client, turn, stream)
    answers_promptly(client)
    ended = client.turn(turn)
    assert ended.answer.parts[0].text == heard + "".join(event.delta.text for event in last)
    assert ended.answer.partial
    assert 0 < ended.usage.output_tokens < 1000
