"""What `colonnade turns` prints of a turn, line by line."""

from __future__ import annotations

import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc.status_pb2 import Status

from colonnade.v1.admin_pb2 import TurnAttempt, TurnReader, TurnStatus
from colonnade.v1.turns_pb2 import (
    FINISH_REASON_ABANDONED,
    FINISH_REASON_ERROR,
    TURN_STATE_FAILED,
    TURN_STATE_RUNNING,
    TURN_STATE_WAITING,
)
from colonnade.v1.usage_pb2 import Money, Usage
from colonnaded.cli.turn_views import print_turn, print_turns

Printed = pytest.CaptureFixture[str]


def test_a_lapsed_lease_stands_out(capsys: Printed) -> None:
    stuck = TurnStatus(turn_id="t", state=TURN_STATE_RUNNING, lease_left=Duration(seconds=-7))
    print_turns([stuck], as_json=False)
    assert "lapsed 7.0s" in capsys.readouterr().out


def test_a_waiting_turn_has_neither_owner_nor_lease(capsys: Printed) -> None:
    print_turn(TurnStatus(turn_id="t", state=TURN_STATE_WAITING), as_json=False)
    printed = capsys.readouterr().out
    assert "owner" in printed
    assert "nobody" in printed
    assert "lease" not in printed


def test_flags(capsys: Printed) -> None:
    turn = TurnStatus(
        turn_id="t",
        state=TURN_STATE_RUNNING,
        cancel=FINISH_REASON_ABANDONED,
        released=True,
        tool_ran=True,
        detached=True,
    )
    print_turns([turn], as_json=False)
    assert "cancel=ABANDONED released tool-ran detached" in capsys.readouterr().out


def test_attempts_and_readers(capsys: Printed) -> None:
    turn = TurnStatus(
        turn_id="t",
        state=TURN_STATE_FAILED,
        finish_reason=FINISH_REASON_ERROR,
        rerunnable=True,
        error=Status(message="no model could answer"),
        attempts=[
            TurnAttempt(
                attempt=1,
                run=1,
                model="large",
                usage=Usage(prompt_tokens=10, output_tokens=5, estimated=True),
                cost=Money(amount="0.001", currency_code="USD"),
                booked=True,
                error="refused",
            ),
            TurnAttempt(attempt=2, run=2, model="small", prompt_tokens_bound=900),
            TurnAttempt(attempt=3, run=2, model="odd", usage=Usage(output_tokens=1)),
        ],
        readers=[TurnReader(replica="b2", left=Duration(seconds=1, nanos=500_000_000))],
    )
    print_turn(turn, as_json=False)
    printed = " ".join(capsys.readouterr().out.split())
    assert "state FAILED ERROR rerunnable" in printed
    assert "error no model could answer" in printed
    assert "large (run 1), about 10 + 5 tokens, 0.001 USD, booked, refused" in printed
    assert "small (run 2), open, at most 900 prompt tokens, not booked" in printed
    assert "odd (run 2), ? + 1 tokens, not booked" in printed
    assert "reader b2, for 1.5 s" in printed


def test_a_strangers_text_does_not_steer_the_terminal(capsys: Printed) -> None:
    turn = TurnStatus(
        turn_id="t", attempts=[TurnAttempt(attempt=1, error="\x1b]0;gone\x07\nstate  FINISHED")]
    )
    print_turn(turn, as_json=False)
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    assert "\nstate  FINISHED" not in printed
