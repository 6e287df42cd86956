"""The simulation notices when a rule is left out; here those that it notices at once."""

from __future__ import annotations

import pytest

import core.turns.outcome
import services.turns.orphans
from simulation.mutation_table import MUTATIONS, as_markdown, find
from simulation.mutations.mutation import Mutation
from simulation.patching import patched

QUICK = (
    "epoch kept at re-run",
    "released not noted",
    "tail before commit",
    "nothing booked",
    "answer not stored",
    "no finished",
    "taken early",
    "called before it is on record",
    "record not written",
    "question not stored",
)


def test_there_are_enough_rules_and_each_has_its_name() -> None:
    names = [each.name for each in MUTATIONS]
    assert len(names) >= 36
    assert len(set(names)) == len(names)
    assert set(QUICK) <= set(names)


@pytest.mark.parametrize("name", QUICK)
def test_a_rule_that_is_left_out_is_noticed(name: str) -> None:
    row = find(_named(name), 150)
    assert row.seeds is not None, as_markdown([row])


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda each: each.name)
def test_every_rule_is_still_where_it_is_left_out(mutation: Mutation) -> None:
    before = core.turns.outcome.may_be_taken_over
    with patched(mutation.change):
        pass
    assert core.turns.outcome.may_be_taken_over is before
    assert vars(services.turns.orphans)["may_be_taken_over"] is before


def _named(name: str) -> Mutation:
    return next(each for each in MUTATIONS if each.name == name)
