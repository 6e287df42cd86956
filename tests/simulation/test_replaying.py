"""A seed stands for one course of events, and a failing one can be cut down and seen again."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from simulation.command import main
from simulation.generating import make_plan
from simulation.mutation_table import MUTATIONS, find
from simulation.mutations.mutation import Mutation
from simulation.patching import patched
from simulation.running import run_plan, run_seed, run_seeds
from simulation.shrinking import shrink

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("seed", range(5))
def test_a_seed_makes_the_same_plan_and_the_same_trace(seed: int) -> None:
    assert make_plan(seed) == make_plan(seed)
    one, two = run_seed(seed, trace=True), run_seed(seed, trace=True)
    assert one.trace
    assert (one.trace, one.digest, one.steps) == (two.trace, two.digest, two.steps)


def test_what_ran_before_changes_nothing() -> None:
    alone = run_seed(7).digest
    run_seeds(range(5))
    assert run_seed(7).digest == alone


def test_watching_changes_nothing() -> None:
    assert run_seed(3, trace=True).digest == run_seed(3).digest


def test_another_process_sees_the_same() -> None:
    """Neither the seed of Python's hashes nor an address in memory has a say."""
    code = (
        "import sys; sys.path[:0] = ['tests', '.', 'cmd'];"
        "from simulation.running import run_seed;"
        "print([run_seed(seed).digest for seed in range(8)])"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "12345"}
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, check=True
    )
    assert run.stdout.decode().strip() == str([run_seed(seed).digest for seed in range(8)])


def test_a_failing_seed_is_cut_down_to_what_it_needs() -> None:
    mutation = _named("taken early")
    row = find(mutation, 50)
    assert row.seed is not None
    plan = make_plan(row.seed)
    with patched(mutation.change):
        small = shrink(plan, row.invariant, most_tries=150)
        again = run_plan(small)
    assert len(small.steps) <= min(3, len(plan.steps))
    assert again.violations[0].invariant == row.invariant
    assert not run_plan(small).violations  # the rule is back


def test_the_command_tells_how_a_seed_went(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seed", "1", "--trace"]) == 0
    told = capsys.readouterr().out
    assert "client0: Ask" in told
    assert "seed 1: all held" in told


def test_the_command_prints_a_failing_seed_and_its_plan(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with patched(_named("cancel lost over finish").change):
        assert main(["--seeds", "60", "--json"]) == 1
    told = capsys.readouterr().out
    assert ": a cancel that came first wins:" in told
    assert "cut down:" in told
    assert "Cancel(" in told


def _named(name: str) -> Mutation:
    return next(each for each in MUTATIONS if each.name == name)
