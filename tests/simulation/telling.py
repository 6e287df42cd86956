"""A commit in words, for a trace."""

from __future__ import annotations

from core.turns.rows import Turn
from simulation.store import NOON
from simulation.store_server import Changes, Rows


def told_of(before: dict[str, Rows], own: Changes) -> str:
    """What a commit has changed."""
    said = []
    for table, rows in own.items():
        for key, row in rows.items():
            if table == "turns":
                old = before["turns"].get(key)
                said.append(f"turn {key} {_turn(old)} to {_turn(row)}")
            elif table == "events":
                old_events = before["events"].get(key, ())
                kinds = [f"{e.seq}:{e.kind}" for e in (row or ())[len(old_events) :]]
                said.append(f"events {kinds}")
            elif table in ("attempts", "ledger"):
                used = getattr(row, "used", None) or getattr(row, "usage", None)
                said.append(f"{table} {key} {used}")
            else:
                said.append(f"{table}{'' if row is not None else ' deleted'}")
    return "; ".join(said)


def _turn(turn: Turn | None) -> str:
    if turn is None:
        return "none"
    cancel = f" {turn.cancel.value}" if turn.cancel else ""
    reason = f" {turn.reason.value}" if turn.reason else ""
    lease = (turn.lease_until - NOON).total_seconds()
    return (
        f"[{turn.state.value}{reason}{cancel} r{turn.run} e{turn.epoch} n{turn.next_seq} "
        f"until {lease:.2f}]"
    )
