"""Calls are over when their time is, by one timer for all; nobody else's cancel is taken for it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from adapters.grpc.cutoff import Cutoffs
from fakes.virtual_time import VirtualTimeLoop


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run it on virtual time."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(main)


class Call:
    """A call that takes so long, and is over at a time."""

    def __init__(self, cutoffs: Cutoffs, at: float, takes: float = 1000.0) -> None:
        self.ended = 0.0
        self.by_cutoff: bool | None = None
        self.task = asyncio.get_running_loop().create_task(self._work(cutoffs, at, takes))

    async def _work(self, cutoffs: Cutoffs, at: float, takes: float) -> None:
        cutoff = cutoffs.add(at)
        try:
            await asyncio.sleep(takes)
        except asyncio.CancelledError as error:
            self.by_cutoff = cutoff.caused(error)
        finally:
            cutoffs.remove(cutoff)
            self.ended = asyncio.get_running_loop().time()


def test_each_call_is_over_at_its_own_time() -> None:
    async def main() -> None:
        cutoffs = Cutoffs()
        calls = [Call(cutoffs, at) for at in (3.0, 1.0, 2.0, 1.0)]
        await asyncio.wait([call.task for call in calls])
        assert [call.ended for call in calls] == [3.0, 1.0, 2.0, 1.0]
        assert all(call.by_cutoff for call in calls)

    run(main())


def test_one_that_ends_before_is_left_alone_and_later_ones_are_not_forgotten() -> None:
    async def main() -> None:
        cutoffs = Cutoffs()
        brief, late = Call(cutoffs, 1.0, takes=0.5), Call(cutoffs, 5.0)
        await asyncio.wait([brief.task, late.task])
        assert (brief.ended, brief.by_cutoff) == (0.5, None)
        assert (late.ended, late.by_cutoff) == (5.0, True)
        after = Call(cutoffs, 7.0)
        await after.task
        assert (after.ended, after.by_cutoff) == (7.0, True)

    run(main())


def test_a_call_that_somebody_else_cancels_is_not_over() -> None:
    async def main() -> None:
        cutoffs = Cutoffs()
        left, both = Call(cutoffs, 5.0), Call(cutoffs, 1.0)
        loop = asyncio.get_running_loop()
        loop.call_at(0.5, left.task.cancel)
        loop.call_at(1.0, both.task.cancel)
        await asyncio.wait([left.task, both.task])
        assert (left.ended, left.by_cutoff) == (0.5, False)
        assert (both.ended, both.by_cutoff) == (1.0, False)

    run(main())
