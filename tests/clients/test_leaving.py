"""Leaving a blocking stream before its end, on a fake channel."""

from __future__ import annotations

import grpc
import pytest

from clients.fake_channel import PATIENCE, FakeServer
from clients.turn_logs import TURN, whole_turn
from colonnade.client import Client

LOST = grpc.StatusCode.UNAVAILABLE
LOG = whole_turn()


@pytest.fixture
def server() -> FakeServer:
    return FakeServer()


def test_leaving_early_cancels_the_turn(server: FakeServer) -> None:
    def leave(client: Client) -> int:
        with client.stream("How long?") as stream:
            return next(stream).sequence

    leaving = server.run(leave)
    _, stream = server.asked()
    stream.send(*LOG[:2])
    stream.was_cancelled()
    assert server.cancels().turn_id == TURN
    assert leaving.result(PATIENCE) == 1


def test_a_cancel_that_fails_does_not_hide_why_the_caller_left(server: FakeServer) -> None:
    def leave(client: Client) -> None:
        with client.stream("How long?", request_id="r-1"):
            raise KeyboardInterrupt

    # Nothing was asked yet: nothing to cancel.
    with pytest.raises(KeyboardInterrupt):
        server.run(leave).result(PATIENCE)

    def leave_later(client: Client) -> None:
        with client.stream("How long?", request_id="r-1") as stream:
            next(stream)
            raise KeyboardInterrupt

    leaving = server.run(leave_later)
    _, stream = server.asked()
    stream.send(LOG[0])
    server.cancels(LOST)
    with pytest.raises(KeyboardInterrupt):
        leaving.result(PATIENCE)


def read_all(client: Client) -> list[int]:
    with client.stream("How long?") as stream:
        return [event.sequence for event in stream]


def test_nothing_is_cancelled_after_the_end(server: FakeServer) -> None:
    reading = server.run(read_all)
    _, stream = server.asked()
    stream.send(*LOG)
    # What goes wrong after the last event is of no concern.
    stream.end(LOST)
    assert reading.result(PATIENCE) == [event.sequence for event in LOG]


@pytest.mark.parametrize("joined", [True, False], ids=["joined", "detached"])
def test_a_turn_that_is_not_its_readers_goes_on_without_it(
    server: FakeServer, joined: bool
) -> None:
    def leave(client: Client) -> None:
        stream = client.resume(TURN) if joined else client.stream("How long?", detach=True)
        with stream:
            next(stream)

    leaving = server.run(leave)
    _, stream = server.resumed() if joined else server.asked()
    stream.send(*LOG[:2])
    leaving.result(PATIENCE)
