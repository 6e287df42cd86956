"""Recorded statements: one group a kind where they have a rank, in place where they have none."""

from __future__ import annotations

from dataclasses import dataclass, field

from adapters.state.rows.ranks import Ranked
from adapters.state.rows.statements import Statement

LATE, EARLY = Statement("LATE", rank=2), Statement("EARLY", rank=1)
PINNED, OTHER = Statement("PINNED"), Statement("OTHER")


@dataclass
class Group:
    name: str
    rows: list[int] = field(default_factory=list)


def done(*recorded: Statement) -> list[tuple[str, list[int]]]:
    """In which order, and together with which, the rows are written; they count from 0."""
    ranked: Ranked[Group] = Ranked(lambda statement: Group(statement.sqlite.every))
    for number, statement in enumerate(recorded):
        ranked[statement].rows.append(number)
    assert bool(ranked) == bool(recorded)
    groups = [(group.name, group.rows) for group in ranked.take()]
    assert not ranked
    assert ranked.take() == []
    return groups


def test_rows_of_one_kind_go_together_in_the_order_of_ranks() -> None:
    assert done(LATE, EARLY, LATE, EARLY) == [("EARLY", [1, 3]), ("LATE", [0, 2])]


def test_a_statement_without_a_rank_stays_where_it_is() -> None:
    assert done(LATE, PINNED, EARLY, LATE) == [
        ("LATE", [0]),
        ("PINNED", [1]),
        ("EARLY", [2]),
        ("LATE", [3]),
    ]


def test_it_gathers_only_what_follows_at_once() -> None:
    assert done(PINNED, PINNED, OTHER, PINNED) == [
        ("PINNED", [0, 1]),
        ("OTHER", [2]),
        ("PINNED", [3]),
    ]
    assert done(PINNED, LATE, PINNED) == [("PINNED", [0]), ("LATE", [1]), ("PINNED", [2])]


def test_nothing_is_recorded_at_first() -> None:
    assert done() == []
