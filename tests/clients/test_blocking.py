"""The blocking client, on a fake channel and a fake clock."""

from __future__ import annotations

import grpc
import pytest

from clients.fake_channel import METHODS, PATIENCE, FakeServer
from clients.turn_logs import TURN, finished, found, numbered, started, text, whole_turn
from colonnade.client import (
    Answer,
    AnswerStream,
    Client,
    DeadlineExceeded,
    NotFound,
    ResourceExhausted,
    Unavailable,
)
from colonnade.v1.turns_pb2 import Retracted
from core import errors as domain
from core.identifiers import Seconds

LOST = grpc.StatusCode.UNAVAILABLE
LOG = whole_turn()


@pytest.fixture
def server() -> FakeServer:
    return FakeServer()


def ask(client: Client) -> Answer:
    return client.ask("How long is a request id kept?", collections=["default"])


def read(client: Client) -> list[int]:
    with client.stream("How long?", request_id="r-1") as stream:
        return [event.sequence for event in stream]


def test_a_question_is_answered(server: FakeServer) -> None:
    answering = server.run(ask)
    request, stream = server.asked()
    assert request.message.parts[0].text == "How long is a request id kept?"
    assert list(request.collections) == ["collections/default"]
    assert request.request_id
    assert request.linger.seconds == 10
    assert request.accept_retractions
    stream.send(*LOG[:3])
    stream.send(*LOG[3:])
    stream.end()
    answer = answering.result(PATIENCE)
    assert answer.text == "Ids are kept."
    assert answer.complete


def test_every_call_carries_the_key(server: FakeServer) -> None:
    server.run(lambda client: client.turn(TURN))
    assert server.key(METHODS["GetTurn"]) == "Bearer ck_key"


def test_a_broken_stream_is_read_on_without_loss_or_double(server: FakeServer) -> None:
    reading = server.run(read)
    _, stream = server.asked()
    stream.send(*LOG[:4])
    stream.end(LOST)
    request, stream = server.resumed()
    assert (request.turn_id, request.after_sequence) == (TURN, 4)
    # A server that repeats what is known, and one that breaks again at once.
    stream.send(*LOG[2:5])
    stream.end(grpc.StatusCode.INTERNAL)
    request, stream = server.resumed()
    assert request.after_sequence == 5
    stream.end(grpc.StatusCode.OK)
    request, stream = server.resumed()
    assert request.after_sequence == 5
    stream.send(*LOG[5:])
    stream.end()
    assert reading.result(PATIENCE) == [event.sequence for event in LOG]
    assert all(pause <= 0.2 for pause in server.slept)


def test_events_that_are_left_out_are_asked_for(server: FakeServer) -> None:
    reading = server.run(read)
    _, stream = server.asked()
    stream.send(LOG[0], LOG[1], LOG[3])
    stream.was_cancelled()
    request, stream = server.resumed()
    assert request.after_sequence == 2
    stream.send(*LOG[2:])
    stream.end()
    assert reading.result(PATIENCE) == [event.sequence for event in LOG]


def test_before_the_first_event_the_same_question_is_asked_again(server: FakeServer) -> None:
    reading = server.run(read)
    first, stream = server.asked()
    stream.end(LOST)
    again, stream = server.asked()
    assert again == first
    assert again.request_id == "r-1"
    stream.send(*LOG)
    stream.end()
    assert reading.result(PATIENCE) == [event.sequence for event in LOG]


def test_the_servers_advice_on_when_is_followed(server: FakeServer) -> None:
    reading = server.run(read)
    _, stream = server.asked()
    stream.fail(domain.Exhausted("busy", retry_after=Seconds(7.0)))
    _, stream = server.asked()
    stream.send(*LOG)
    stream.end()
    reading.result(PATIENCE)
    assert server.slept == [7.0]


def test_the_deadline_covers_all_calls_together(server: FakeServer) -> None:
    asking = server.run(lambda client: client.ask("How long?", timeout=12.0))
    _, stream = server.asked()
    stream.send(*LOG[:3])
    server.time.sleep_for(11.0)
    stream.fail(domain.Unavailable("shutting down", retry_after=Seconds(2.0)))
    with pytest.raises(Unavailable) as caught:
        asking.result(PATIENCE)
    assert caught.value.metadata["turn_id"] == TURN
    assert server.slept == []


def test_a_deadline_that_passes_is_told_with_the_turn(server: FakeServer) -> None:
    asking = server.run(ask)
    _, stream = server.asked()
    stream.send(*LOG[:3])
    stream.end(grpc.StatusCode.DEADLINE_EXCEEDED)
    with pytest.raises(DeadlineExceeded) as caught:
        asking.result(PATIENCE)
    assert caught.value.metadata == {"turn_id": TURN}


def test_an_error_of_the_server_is_raised_as_it_is(server: FakeServer) -> None:
    asking = server.run(ask)
    _, stream = server.asked()
    stream.fail(domain.NotFound("collection", "collections/default"))
    with pytest.raises(NotFound) as caught:
        asking.result(PATIENCE)
    assert (caught.value.reason, caught.value.call_id) == ("RESOURCE_NOT_FOUND", "call-7")


def test_a_server_that_stays_away_is_given_up(server: FakeServer) -> None:
    asking = server.run(ask)
    for _ in range(5):
        server.asked()[1].end(LOST)
    with pytest.raises(Unavailable):
        asking.result(PATIENCE)
    assert sum(server.slept) < 1.0


def test_a_limit_that_outlasts_the_deadline_is_raised_at_once(server: FakeServer) -> None:
    asking = server.run(lambda client: client.ask("How long?", timeout=5.0))
    _, stream = server.asked()
    stream.fail(domain.Exhausted("busy", retry_after=Seconds(60.0)))
    with pytest.raises(ResourceExhausted):
        asking.result(PATIENCE)
    assert server.slept == []


def test_another_run_voids_what_was_shown(server: FakeServer) -> None:
    asking = server.run(ask)
    request, stream = server.asked()
    stream.send(*numbered([started(), found()]))
    stream.fail(domain.TurnEnded("it died", turn_id=TURN, rerunnable="true"))
    again, stream = server.asked()
    assert again == request
    log = numbered([started(), found(), started(run=2), text("Yes."), finished()])
    stream.send(*log)
    stream.end()
    answer = asking.result(PATIENCE)
    assert (answer.run, answer.text, answer.retrieved) == (2, "Yes.", ())


def test_text_is_taken_back(server: FakeServer) -> None:
    asking = server.run(ask)
    _, stream = server.asked()
    stream.send(*numbered([started(), text("Wrong.")]))
    stream.send(*numbered([Retracted(from_sequence=2, replacement="Right."), finished()], first=3))
    stream.end()
    assert asking.result(PATIENCE).text == "Right."


def test_a_lost_log_is_read_again_from_its_beginning(server: FakeServer) -> None:
    def texts(client: Client) -> tuple[list[int], str]:
        with client.stream("How long?") as stream:
            return [event.sequence for event in stream], stream.text

    reading = server.run(texts)
    _, stream = server.asked()
    stream.send(*numbered([started(), text("Lost "), text("words")]))
    stream.end(LOST)
    _, stream = server.resumed()
    stream.fail(domain.TurnLogLost("the log is shorter", turn_id=TURN))
    request, stream = server.resumed()
    assert request.after_sequence == 0
    stream.send(*numbered([started(), text("Kept."), finished()]))
    stream.end()
    assert reading.result(PATIENCE) == ([1, 2, 3, 1, 2, 3], "Kept.")


def test_a_turn_can_be_joined_after_an_event(server: FakeServer) -> None:
    def join(client: Client) -> list[int]:
        with client.resume(TURN, after_sequence=6, accept_retractions=True) as stream:
            return [event.sequence for event in stream]

    joining = server.run(join)
    request, stream = server.resumed()
    assert (request.turn_id, request.after_sequence) == (TURN, 6)
    assert request.accept_retractions
    stream.send(*LOG[6:])
    stream.end()
    assert joining.result(PATIENCE) == [7, 8]


def test_a_stream_wants_a_with_block(server: FakeServer) -> None:
    stream: AnswerStream = server.client.stream("How long?")
    with pytest.raises(RuntimeError, match="with"):
        next(stream)
