"""Switches each rule off in turn, and looks how soon, and by what, the simulation notices."""

from __future__ import annotations

import json
import multiprocessing
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from simulation.generating import make_plan
from simulation.mutations.claims import CLAIMS
from simulation.mutations.ending import ENDING
from simulation.mutations.mutation import Mutation
from simulation.mutations.replicas import REPLICAS
from simulation.mutations.running import RUNNING
from simulation.patching import patched
from simulation.running import undisturbed
from simulation.world import World

MUTATIONS: tuple[Mutation, ...] = (*CLAIMS, *RUNNING, *ENDING, *REPLICAS)


@dataclass(frozen=True, slots=True)
class Row:
    """What came of one mutation. `seeds`: how many schedules it took; None where none saw it."""

    name: str
    rule: str
    seeds: int | None
    seed: int | None
    invariant: str
    survives: str


def find(mutation: Mutation, most: int, start: int = 0) -> Row:
    """Run schedules with this rule left out, until one of them violates something."""
    with undisturbed() as collect, patched(mutation.change):
        for number in range(most):
            result = World(make_plan(start + number)).run()
            if result.violations:
                name = result.violations[0].invariant
                return _row(mutation, number + 1, start + number, name)
            collect(number)
    return _row(mutation, None, None, "")


def _row(mutation: Mutation, seeds: int | None, seed: int | None, invariant: str) -> Row:
    return Row(mutation.name, mutation.rule, seeds, seed, invariant, mutation.survives)


def _find_by_name(wanted: tuple[str, int]) -> Row:
    name, most = wanted
    return find(next(each for each in MUTATIONS if each.name == name), most)


def find_all(most: int, *, workers: int, only: str = "") -> Iterator[Row]:
    """Every mutation whose name contains `only`, in order."""
    wanted = [(each.name, most) for each in MUTATIONS if only in each.name]
    if workers <= 1:
        yield from map(_find_by_name, wanted)
        return
    with multiprocessing.get_context("fork").Pool(workers) as pool:
        yield from pool.imap(_find_by_name, wanted)


def table(most: int, *, workers: int, as_json: bool, only: str = "") -> int:
    """Print the table; the exit code is 1 where one is missed that should not be."""
    rows: list[Row] = []
    for row in find_all(most, workers=workers, only=only):
        rows.append(row)
        sys.stderr.write(f"\r{len(rows)}/{len(MUTATIONS)} ")
        sys.stderr.flush()
    print(file=sys.stderr)
    print(as_markdown(rows))
    missed = [row for row in rows if row.seeds is None and not row.survives]
    print(f"\n{len(rows)} rules, {sum(row.seeds is not None for row in rows)} noticed")
    if as_json:
        print(json.dumps({"schedules": most, "mutations": [asdict(row) for row in rows]}))
    return 1 if missed else 0


def as_markdown(rows: Sequence[Row]) -> str:
    """The table as it stands in the decision's record."""
    lines = ["| left out | rule | noticed by | after |", "| --- | --- | --- | --- |"]
    for row in rows:
        noticed = row.invariant or (f"not: {row.survives}" if row.survives else "NOT NOTICED")
        lines.append(f"| {row.name} | {row.rule} | {noticed} | {row.seeds or ''} |")
    return "\n".join(lines)
