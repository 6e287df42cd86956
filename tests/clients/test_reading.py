"""One turn, read over any number of broken connections: every event once, and in order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import grpc
from hypothesis import given
from hypothesis import strategies as st

from clients.turn_logs import TURN, whole_turn
from colonnade.client.errors import (
    Failure,
)
from colonnade.client.folding import AnswerFold
from colonnade.client.retrying import RetryPolicy
from colonnade.client.stream_state import StreamState, Wanted
from colonnade.v1.chat_pb2 import ChatRequest
from colonnade.v1.turns_pb2 import TurnEvent, TurnEvents

ASKED = ChatRequest(request_id="r-1")
STUBBORN = RetryPolicy(start_attempts=10_000, resume_attempts=10_000)
LOST = Failure(grpc.StatusCode.UNAVAILABLE, "the connection broke")
BREAKS = [
    None,
    LOST,
    Failure(grpc.StatusCode.INTERNAL, "received RST_STREAM"),
    Failure(grpc.StatusCode.UNKNOWN, "stream removed"),
    Failure(grpc.StatusCode.CANCELLED, "a proxy gave up"),
    Failure(grpc.StatusCode.UNAVAILABLE, "draining", "SERVICE_UNAVAILABLE", retry_after=1.0),
    Failure(grpc.StatusCode.RESOURCE_EXHAUSTED, "busy", "TOO_MANY_REQUESTS", retry_after=2.0),
]


@dataclass(frozen=True)
class Connection:
    """What one call does: repeats some events, brings some, may leave one out, and ends."""

    overlap: int
    events: int
    a_message: int
    leaves_out: bool
    ending: Failure | None


CONNECTIONS = st.builds(
    Connection,
    overlap=st.integers(0, 3),
    events=st.integers(0, 6),
    a_message=st.integers(1, 4),
    leaves_out=st.booleans(),
    ending=st.sampled_from(BREAKS),
)
FAULTLESS = Connection(0, 10_000, 3, leaves_out=False, ending=None)


class Script:
    """A server that serves one log over connections that break as they are told to."""

    def __init__(self, log: list[TurnEvent], connections: list[Connection]) -> None:
        self._log = log
        self._connections = iter(connections)

    def call(self, stream: StreamState) -> tuple[Iterator[TurnEvents], Failure | None]:
        request = stream.next_request(0.0)
        after = 0 if isinstance(request, ChatRequest) else request.after_sequence
        connection = next(self._connections, FAULTLESS)
        begin = max(0, after - connection.overlap)
        events = self._log[begin : after + connection.events]
        if connection.leaves_out and len(events) > 1:
            del events[len(events) // 2]
        step = connection.a_message
        messages = [TurnEvents(events=events[i : i + step]) for i in range(0, len(events), step)]
        return iter(messages), connection.ending


def read_all(stream: StreamState, script: Script) -> list[TurnEvent]:
    """A driver without I/O: what the two real ones do, minus waiting."""
    stream.begin(0.0)
    events: list[TurnEvent] = []
    while not stream.complete:
        messages, ending = script.call(stream)
        for arrived in messages:
            whole = stream.arrived(arrived)
            while (event := stream.hand_out()) is not None:
                events.append(event)
            if not whole:
                break
        if not stream.complete:
            stream.broke(ending, now=0.0, draw=0.5)
    return events


@given(st.lists(CONNECTIONS, max_size=12), st.lists(st.text(max_size=4), max_size=12))
def test_any_split_of_a_log_is_read_once_and_in_order(
    connections: list[Connection], words: list[str]
) -> None:
    log = whole_turn(words)
    stream = StreamState(Wanted(ASKED), STUBBORN, timeout=100.0)

    assert read_all(stream, Script(log, connections)) == log

    at_once = AnswerFold()
    for event in log:
        at_once.add(event)
    assert stream.fold.answer() == at_once.answer()
    assert stream.fold.text == "".join(words)


@given(st.lists(CONNECTIONS, max_size=8), st.integers(1, 8))
def test_a_reader_who_joins_gets_what_follows(connections: list[Connection], after: int) -> None:
    log = whole_turn()
    wanted = Wanted(None, TURN, after_sequence=min(after, len(log) - 1))
    stream = StreamState(wanted, STUBBORN, timeout=100.0)
    assert read_all(stream, Script(log, connections)) == log[wanted.after_sequence :]
