"""The command line of the simulation."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence

from simulation.generating import make_plan
from simulation.plan import Plan
from simulation.progress import Progress, told
from simulation.running import Summary, run_many, run_plan
from simulation.shrinking import shrink


def main(arguments: Sequence[str]) -> int:
    """Run what is asked for; the exit code is 1 where something did not hold."""
    chosen = _parser().parse_args(arguments)
    if chosen.mutations:
        from simulation.mutation_table import table

        return table(chosen.seeds, workers=chosen.workers, as_json=chosen.json, only=chosen.only)
    if chosen.seed is not None:
        return _one(chosen.seed, trace=chosen.trace, cut_down=not chosen.whole)
    return _many(chosen)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1_000, help="how many schedules")
    parser.add_argument("--start", type=int, default=0, help="the first seed")
    parser.add_argument("--workers", type=int, default=1, help="processes to use")
    parser.add_argument("--seed", type=int, help="one schedule; what fails is cut down")
    parser.add_argument("--trace", action="store_true", help="print what happens, with --seed")
    parser.add_argument("--whole", action="store_true", help="do not cut it down, with --seed")
    parser.add_argument("--mutations", action="store_true", help="switch off rules, one by one")
    parser.add_argument("--only", default="", help="mutations whose names contain this")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    return parser


def _one(seed: int, *, trace: bool, cut_down: bool) -> int:
    plan = make_plan(seed)
    result = run_plan(plan, trace=trace)
    if result.violations and cut_down:
        plan = shrink(plan, result.violations[0].invariant)
        result = run_plan(plan, trace=trace)
    print(*result.trace, sep="\n")
    print(told(seed, result))
    if result.violations:
        print(as_steps(plan))
    return 1 if result.violations else 0


def _many(chosen: argparse.Namespace) -> int:
    seeds = range(chosen.start, chosen.start + chosen.seeds)
    summary, progress = Summary(), Progress(sys.stderr, len(seeds))
    for summary in run_many(seeds, chosen.workers):
        progress.show(summary)
    progress.end()
    for seed, result in sorted(summary.failed.items())[:20]:
        print(told(seed, result))
    if summary.failed:
        _explain(min(summary.failed), summary)
    if chosen.json:
        print(json.dumps(figures(summary)))
    return 1 if summary.failed else 0


def _explain(seed: int, summary: Summary) -> None:
    """Print the first failing schedule, cut down."""
    by_invariant = Counter(r.violations[0].invariant for r in summary.failed.values())
    print(*(f"{count:6} {invariant}" for invariant, count in by_invariant.most_common()), sep="\n")
    plan = shrink(make_plan(seed), summary.failed[seed].violations[0].invariant)
    print(f"seed {seed}, cut down:", as_steps(plan), sep="\n")


def as_steps(plan: Plan) -> str:
    """A plan as text, with the seed that draws what it leaves open."""
    lines = [
        f"  seed={plan.seed}",
        f"  {plan.setup}",
        *(f"  {each}" for each in (*plan.questions, *plan.steps)),
    ]
    return "\n".join(lines)


def figures(summary: Summary) -> dict[str, object]:
    """What a long run came to."""
    return {
        "schedules": summary.schedules,
        "violations": len(summary.failed),
        "seconds": round(summary.seconds, 1),
        "ms_per_schedule": round(1_000 * summary.seconds / max(1, summary.schedules), 2),
        "virtual_hours": round(summary.virtual_seconds / 3_600, 1),
        "steps": summary.steps,
        **summary.counts,
    }
