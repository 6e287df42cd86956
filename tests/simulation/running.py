"""Carries out many schedules, one process a worker, and sums up what came of them."""

from __future__ import annotations

import gc
import multiprocessing
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from simulation.generating import make_plan
from simulation.plan import Plan
from simulation.world import Result, World

_COLLECT_EVERY = 100
_CHUNK = 200


@dataclass(slots=True)
class Summary:
    """What many schedules came to. `failed` has the results with violations, by seed."""

    schedules: int = 0
    seconds: float = 0.0
    virtual_seconds: float = 0.0
    steps: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    failed: dict[int, Result] = field(default_factory=dict)

    def add(self, seed: int, result: Result) -> None:
        """Count one schedule."""
        self.schedules += 1
        self.virtual_seconds += result.seconds
        self.steps += result.steps
        self.counts.update(result.counts)
        if result.violations:
            self.failed[seed] = result

    def merge(self, other: Summary) -> None:
        """Count those of a worker."""
        self.schedules += other.schedules
        self.virtual_seconds += other.virtual_seconds
        self.steps += other.steps
        self.counts.update(other.counts)
        self.failed.update(other.failed)


def run_seed(seed: int, *, trace: bool = False) -> Result:
    """Carry out the schedule of one seed."""
    return run_plan(make_plan(seed), trace=trace)


def run_plan(plan: Plan, *, trace: bool = False) -> Result:
    """Carry out one schedule, with nothing of an earlier one in the way."""
    with undisturbed():
        return World(plan, trace=trace).run()


def run_seeds(seeds: Iterable[int]) -> Summary:
    """Carry out schedules one after another, in this process."""
    summary = Summary()
    with undisturbed() as collect:
        for number, seed in enumerate(seeds):
            summary.add(seed, World(make_plan(seed)).run())
            collect(number)
    return summary


def run_many(seeds: Sequence[int], workers: int) -> Iterator[Summary]:
    """The sum so far, after each chunk of schedules."""
    began, summary = time.perf_counter(), Summary()
    chunks = [seeds[at : at + _CHUNK] for at in range(0, len(seeds), _CHUNK)]
    for part in _parts(chunks, workers):
        summary.merge(part)
        summary.seconds = time.perf_counter() - began
        yield summary


def _parts(chunks: Sequence[Sequence[int]], workers: int) -> Iterator[Summary]:
    if workers <= 1:
        yield from map(run_seeds, chunks)
        return
    with multiprocessing.get_context("fork").Pool(workers, maxtasksperchild=1) as pool:
        yield from pool.imap_unordered(_run_and_exit, chunks)


def _run_and_exit(seeds: Sequence[int]) -> Summary:
    """The same, in a process that ends with it: what is left goes with the process."""
    gc.disable()
    summary = Summary()
    for seed in seeds:
        summary.add(seed, World(make_plan(seed)).run())
    return summary


def _collect(number: int) -> None:
    """Throw away what the schedules have left, now and then."""
    if number % _COLLECT_EVERY == 0:
        gc.collect()


@contextmanager
def undisturbed() -> Iterator[Callable[[int], None]]:
    """Garbage is collected between schedules only, and what dies then is not heard.

    A replica that was killed leaves coroutines that never end. To throw them away makes Python
    run their `finally` blocks outside of any loop, which means nothing.
    """
    hook, enabled = sys.unraisablehook, gc.isenabled()
    gc.disable()
    gc.freeze()  # what is older is not looked at again and again
    sys.unraisablehook = lambda _: None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield _collect
            gc.collect()
    finally:
        sys.unraisablehook = hook
        gc.unfreeze()
        if enabled:
            gc.enable()
