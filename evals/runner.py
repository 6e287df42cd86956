"""Runs a suite against a system: documents in, then every case, a few at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from core.identifiers import Seconds
from evals.cases import Case, Suite
from evals.retrieval_scores import distinct
from evals.system import Intake, SystemUnderTest
from evals.verdicts import CaseResult, judge


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How a suite is run.

    `depth` is how many documents a search asks for. `searches` and `asks` say what is tried with
    each case; asking needs a suite that has answers. `timeout` is for one search or one answer.
    """

    depth: int = 10
    searches: bool = True
    asks: bool = True
    concurrency: int = 4
    timeout: Seconds = Seconds(60.0)
    ingest_timeout: Seconds = Seconds(3600.0)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is: `done` of `total` in the stage `ingest` (documents) or `cases`."""

    stage: str
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Run:
    """A suite's results, one a case, in the suite's order."""

    suite: Suite
    options: RunOptions
    intake: Intake | None
    results: tuple[CaseResult, ...]


OnProgress = Callable[[Progress], None]
_T = TypeVar("_T")


async def run_suite(
    suite: Suite,
    system: SystemUnderTest,
    options: RunOptions | None = None,
    on_progress: OnProgress = lambda _: None,
) -> Run:
    """Every case's result. A case that fails or takes too long is an error, and none is left out.

    What `ingest` raises is not caught: without documents nothing can be judged.
    """
    options = options or RunOptions()
    intake = await _ingested(suite, system, options, on_progress)
    results = await _Cases(suite, system, options, on_progress).run()
    return Run(suite, options, intake, tuple(results))


async def _ingested(
    suite: Suite, system: SystemUnderTest, options: RunOptions, on_progress: OnProgress
) -> Intake | None:
    if not suite.documents:
        return None
    total = len(suite.documents)
    on_progress(Progress("ingest", 0, total))
    async with asyncio.timeout(options.ingest_timeout):
        intake = await system.ingest(suite.documents)
    on_progress(Progress("ingest", total, total))
    return intake


class _Cases:
    """The cases of one run while they are worked off."""

    def __init__(
        self,
        suite: Suite,
        system: SystemUnderTest,
        options: RunOptions,
        on_progress: OnProgress,
    ) -> None:
        self._suite = suite
        self._system = system
        self._options = options
        self._on_progress = on_progress
        self._done = 0

    async def run(self) -> Sequence[CaseResult]:
        """All cases, at most `concurrency` at once."""
        places = iter(range(len(self._suite.cases)))
        results: list[CaseResult | None] = [None] * len(self._suite.cases)

        async def work() -> None:
            for place in places:
                results[place] = await self._result(self._suite.cases[place])
                self._done += 1
                self._on_progress(Progress("cases", self._done, len(results)))

        async with asyncio.TaskGroup() as group:
            for _ in range(self._options.concurrency):
                group.create_task(work())
        return [result for result in results if result is not None]

    async def _result(self, case: Case) -> CaseResult:
        result = CaseResult(case)
        gains = self._suite.relevance.get(case.id)
        if self._options.searches and gains:
            result = await self._searched(replace(result, gains=gains))
        if self._options.asks and self._suite.has_answers:
            result = await self._asked(result)
        return result

    async def _searched(self, result: CaseResult) -> CaseResult:
        depth = self._options.depth
        found, error = await self._tried(self._system.search(result.case.question, depth))
        if found is None:
            return replace(result, ranking=(), search_error=error)
        return replace(result, ranking=tuple(distinct(found)[:depth]))

    async def _asked(self, result: CaseResult) -> CaseResult:
        answer, error = await self._tried(self._system.ask(result.case.question))
        if answer is None:
            return replace(result, ask_error=error)
        return replace(result, judgement=judge(result.case, answer))

    async def _tried(self, attempt: Awaitable[_T]) -> tuple[_T | None, str]:
        try:
            async with asyncio.timeout(self._options.timeout):
                return await attempt, ""
        except TimeoutError:
            return None, f"took longer than {self._options.timeout:g} s"
        except Exception as error:  # noqa: BLE001 - whatever a system raises is a result
            return None, f"{type(error).__name__}: {error}"
