"""What a reader does when its call ends before the turn: read on, ask again, or give up."""

from __future__ import annotations

import grpc
import pytest

from clients.turn_logs import TURN, found, message, numbered, started, text
from colonnade.client.errors import (
    Aborted,
    Cancelled,
    DataLoss,
    DeadlineExceeded,
    FailedAttempt,
    FailedPrecondition,
    Failure,
    NotFound,
    ResourceExhausted,
    Unavailable,
)
from colonnade.client.reading import Progress, after_break, receive
from colonnade.client.retrying import RetryPolicy
from colonnade.client.stream_state import StreamState, Wanted
from colonnade.v1.chat_pb2 import ChatRequest

ASKED = ChatRequest(request_id="r-1")
LOST = Failure(grpc.StatusCode.UNAVAILABLE, "the connection broke")


def begun() -> Progress:
    """A turn of which two events are there, neither of them text."""
    return receive(Progress(), numbered([started(), found()])).progress


def failed(reason: str, code: grpc.StatusCode, **metadata: str) -> Failure:
    return Failure(code, "it failed", reason, metadata)


def decide(progress: Progress, failure: Failure | None, left: float = 100.0) -> Progress:
    return after_break(progress, failure, RetryPolicy(), draw=0.5, left=left).progress


def test_a_turn_that_failed_before_it_said_anything_is_asked_for_again() -> None:
    interrupted = failed("TURN_INTERRUPTED", grpc.StatusCode.UNAVAILABLE, rerunnable="true")
    again = decide(begun(), interrupted)
    assert again.asking
    assert again.last == 2


def test_a_run_again_is_read_from_where_the_log_goes_on() -> None:
    stream = StreamState(Wanted(ASKED), RetryPolicy(), timeout=100.0)
    stream.begin(0.0)
    stream.arrived(message(*numbered([started(), found()])))
    stream.broke(failed("TURN_INTERRUPTED", grpc.StatusCode.UNAVAILABLE, rerunnable="true"), 0, 0)
    assert stream.next_request(0.0) == ASKED
    # The server streams the whole log again; what is known is not handed out twice.
    log = numbered([started(), found(), started(run=2), text("Yes.")])
    stream.arrived(message(*log))
    handed_out = []
    while (event := stream.hand_out()) is not None:
        handed_out.append(event.sequence)
    answer = stream.fold.answer()
    assert handed_out == [1, 2, 3, 4]
    assert (answer.run, answer.text, answer.retrieved) == (2, "Yes.", ())


@pytest.mark.parametrize(
    "failure",
    [
        failed("TURN_INTERRUPTED", grpc.StatusCode.UNAVAILABLE, rerunnable="false"),
        failed("MODELS_UNAVAILABLE", grpc.StatusCode.UNAVAILABLE),
        failed("STORAGE_FULL", grpc.StatusCode.RESOURCE_EXHAUSTED),
        failed("RESOURCE_NOT_FOUND", grpc.StatusCode.NOT_FOUND),
        failed("RETRACTIONS_REQUIRED", grpc.StatusCode.FAILED_PRECONDITION),
        failed("TURN_ABANDONED", grpc.StatusCode.CANCELLED, rerunnable="false"),
        failed("DEADLINE_EXCEEDED", grpc.StatusCode.DEADLINE_EXCEEDED),
    ],
    ids=lambda failure: failure.reason,
)
def test_what_another_call_cannot_mend_is_raised(failure: Failure) -> None:
    kinds = (
        Unavailable,
        ResourceExhausted,
        NotFound,
        FailedPrecondition,
        Cancelled,
        DeadlineExceeded,
    )
    with pytest.raises(kinds) as caught:
        decide(begun(), failure)
    assert caught.value.reason == failure.reason
    assert caught.value.metadata["turn_id"] == TURN


def test_a_joined_turn_is_never_asked_for() -> None:
    with pytest.raises(Unavailable):
        decide(
            Progress.joining(TURN, 2),
            failed("TURN_INTERRUPTED", grpc.StatusCode.UNAVAILABLE, rerunnable="true"),
        )


def test_models_that_are_down_are_asked_again_when_the_server_says_when() -> None:
    down = Failure(
        grpc.StatusCode.UNAVAILABLE, "all are down", "MODELS_UNAVAILABLE", retry_after=3.0
    )
    again = after_break(begun(), down, RetryPolicy(), draw=0.0, left=100.0)
    assert (again.progress.asking, again.wait) == (True, 3.0)


def test_models_whose_weights_are_missing_are_not_asked_again() -> None:
    down = Failure(
        grpc.StatusCode.UNAVAILABLE,
        "none can answer",
        "MODELS_UNAVAILABLE",
        retry_after=1.0,
        attempts=(FailedAttempt("smollm2", "weights_missing"),),
    )
    with pytest.raises(Unavailable):
        decide(begun(), down)


def test_a_turn_that_fails_every_time_is_given_up() -> None:
    progress = begun()
    interrupted = failed("TURN_INTERRUPTED", grpc.StatusCode.UNAVAILABLE, rerunnable="true")
    for _ in range(RetryPolicy().reruns):
        progress = decide(progress, interrupted)
    with pytest.raises(Unavailable):
        decide(progress, interrupted)


def test_a_lost_log_is_read_from_the_beginning_once() -> None:
    lost = failed("TURN_LOG_LOST", grpc.StatusCode.DATA_LOSS)
    again = decide(begun(), lost)
    assert (again.last, again.asking, again.turn_id) == (0, False, TURN)
    with pytest.raises(DataLoss):
        decide(again, lost)


def test_a_server_that_is_not_there_is_reported_soon_and_a_running_turn_waited_for() -> None:
    policy = RetryPolicy()
    assert calls_until_given_up(Progress(), LOST) == policy.start_attempts
    assert calls_until_given_up(begun(), LOST) == policy.resume_attempts


def test_a_branch_that_a_cancelled_turn_is_leaving_is_waited_for() -> None:
    busy = failed("BRANCH_BUSY", grpc.StatusCode.ABORTED)
    assert calls_until_given_up(Progress(), busy) == RetryPolicy().busy_attempts


def calls_until_given_up(progress: Progress, failure: Failure) -> int:
    for calls in range(1, 1000):
        try:
            progress = decide(progress, failure)
        except (Unavailable, Aborted):
            return calls
    raise AssertionError("it never gave up")


def test_no_pause_goes_past_the_deadline() -> None:
    busy = Failure(grpc.StatusCode.RESOURCE_EXHAUSTED, "busy", "TOO_MANY_REQUESTS", retry_after=9.0)
    assert after_break(begun(), busy, RetryPolicy(), draw=0.0, left=9.5).wait == 9.0
    with pytest.raises(ResourceExhausted) as caught:
        after_break(begun(), busy, RetryPolicy(), draw=0.0, left=9.0)
    assert caught.value.retry_after == 9.0


def test_a_turn_that_failed_for_want_of_the_store_is_asked_for_again() -> None:
    away = failed("SERVICE_UNAVAILABLE", grpc.StatusCode.UNAVAILABLE, rerunnable="true")
    assert decide(begun(), away).asking


def test_a_turn_that_failed_for_good_is_not_read_again() -> None:
    """The call alone may be repeated where the server was busy; the turn's own end stays."""
    passing = failed("SERVICE_UNAVAILABLE", grpc.StatusCode.UNAVAILABLE)
    assert not decide(begun(), passing).asking
    with pytest.raises(Unavailable):
        decide(begun(), failed(passing.reason, passing.code, rerunnable="false"))
