"""Turns as an operator reads them: one a line, or one in full; or JSON for programs."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence

from google.protobuf.duration_pb2 import Duration
from google.protobuf.json_format import MessageToDict

from colonnade.v1.admin_pb2 import TurnAttempt, TurnReader, TurnStatus
from colonnade.v1.turns_pb2 import TURN_STATE_RUNNING, FinishReason, TurnState

_HEADINGS = ("TURN", "STATE", "RUN", "AGE", "OWNER", "LEASE", "TENANT/USER", "FLAGS")


def print_turns(turns: Sequence[TurnStatus], *, as_json: bool) -> None:
    """One line a turn under headings."""
    if as_json:
        print(json.dumps([_plain(turn) for turn in turns], ensure_ascii=False))
        return
    if not turns:
        print("no turns")
        return
    now = time.time()
    rows = [_HEADINGS, *(_line(turn, now) for turn in turns)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS))]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print(printable("  ".join(cells).rstrip()))


def print_turn(turn: TurnStatus, *, as_json: bool) -> None:
    """Everything about one turn, a line each."""
    if as_json:
        print(json.dumps(_plain(turn), ensure_ascii=False))
        return
    width = max(len(name) for name, _ in _facts(turn))
    for name, value in _facts(turn):
        print(f"{name.ljust(width)}  {printable(value)}")


def print_cancelled(turn: TurnStatus, *, as_json: bool) -> None:
    """What became of the wish to stop it."""
    if as_json:
        print_turn(turn, as_json=True)
    elif turn.finish_reason:
        print(f"{turn.turn_id} has ended: {_reason(turn.finish_reason)}")
    else:
        print(f"{turn.turn_id} is asked to stop; see: colonnade turns show {turn.turn_id}")


def _line(turn: TurnStatus, now: float) -> tuple[str, ...]:
    return (
        turn.turn_id,
        _state(turn),
        str(turn.run),
        f"{max(0.0, now - turn.create_time.seconds):.0f}s",
        turn.owner or "-",
        _lease(turn) or "-",
        f"{turn.tenant}/{turn.user}",
        " ".join(_flags(turn)) or "-",
    )


def _facts(turn: TurnStatus) -> Iterator[tuple[str, str]]:
    yield "turn", turn.turn_id
    yield "tenant/user", f"{turn.tenant}/{turn.user}"
    yield "state", " ".join((_state(turn), *_flags(turn)))
    yield "run", f"{turn.run} (epoch {turn.epoch})"
    yield "owner", turn.owner or "nobody"
    if _lease(turn):
        yield "lease", _lease(turn)
    yield "next event", str(turn.next_sequence)
    yield "claimed", turn.create_time.ToJsonString()
    yield "deadline", turn.deadline.ToJsonString()
    if turn.HasField("end_time"):
        yield "ended", turn.end_time.ToJsonString()
    if turn.HasField("error"):
        yield "error", turn.error.message
    for name, value in (("request", turn.request_id), ("conversation", turn.conversation)):
        if value:
            yield name, value
    for attempt in turn.attempts:
        yield f"attempt {attempt.attempt}", _attempt(attempt)
    for reader in turn.readers:
        yield "reader", _reader(reader)


def _attempt(attempt: TurnAttempt) -> str:
    """Whom it called, in which run, and what it used."""
    facts = [f"{attempt.model} (run {attempt.run})"]
    if attempt.HasField("usage"):
        used = attempt.usage
        read = used.prompt_tokens if used.HasField("prompt_tokens") else "?"
        written = used.output_tokens if used.HasField("output_tokens") else "?"
        about = "about " if used.estimated else ""
        facts.append(f"{about}{read} + {written} tokens")
    else:
        facts.append(f"open, at most {attempt.prompt_tokens_bound} prompt tokens")
    if attempt.HasField("cost"):
        facts.append(f"{attempt.cost.amount} {attempt.cost.currency_code}")
    facts.append("booked" if attempt.booked else "not booked")
    if attempt.error:
        facts.append(attempt.error)
    return ", ".join(facts)


def _reader(reader: TurnReader) -> str:
    left = seconds(reader.left)
    return f"{reader.replica}, " + (f"for {left:.1f} s" if left > 0 else "gone")


def _flags(turn: TurnStatus) -> Iterator[str]:
    if turn.finish_reason:
        yield _reason(turn.finish_reason)
    if turn.cancel and turn.cancel != turn.finish_reason:
        yield f"cancel={_reason(turn.cancel)}"
    named = {
        "released": turn.released,
        "tool-ran": turn.tool_ran,
        "detached": turn.detached,
        "rerunnable": turn.rerunnable,
    }
    yield from (name for name, is_so in named.items() if is_so)


def _lease(turn: TurnStatus) -> str:
    """What is left of the lease; empty where there is none."""
    if turn.state != TURN_STATE_RUNNING:
        return ""
    left = seconds(turn.lease_left)
    return f"{left:.1f}s" if left >= 0 else f"lapsed {-left:.1f}s"


def _state(turn: TurnStatus) -> str:
    return TurnState.Name(turn.state).removeprefix("TURN_STATE_")


def _reason(reason: FinishReason.ValueType) -> str:
    return FinishReason.Name(reason).removeprefix("FINISH_REASON_")


def seconds(value: Duration) -> float:
    """A duration as a number."""
    return value.seconds + value.nanos / 1e9


def printable(text: str) -> str:
    """Without what would steer the terminal: a provider's error is a stranger's text."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def _plain(turn: TurnStatus) -> dict[str, object]:
    return MessageToDict(
        turn, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
