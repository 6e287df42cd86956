"""A system to evaluate that answers from a table."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from evals.system import Answer, Intake, SuiteDocument


@dataclass
class FakeSystem:
    """Finds and answers what it was given for a question; raises what it was given instead.

    `busiest` is the most calls that were open at once. A question in `hangs` gets no answer.
    """

    rankings: Mapping[str, Sequence[str] | Exception] = field(default_factory=dict)
    answers: Mapping[str, Answer | Exception] = field(default_factory=dict)
    hangs: frozenset[str] = frozenset()
    rejected: tuple[tuple[str, str], ...] = ()
    ingested: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    busiest: int = 0
    _open: int = 0

    async def ingest(self, documents: Sequence[SuiteDocument]) -> Intake:
        self.ingested += [document.uri for document in documents]
        return Intake(len(documents) - len(self.rejected), self.rejected)

    async def search(self, query: str, k: int) -> Sequence[str]:
        found = self.rankings.get(query, ())
        if isinstance(found, Exception):
            raise found
        return found

    async def ask(self, question: str) -> Answer:
        self.asked.append(question)
        self._open += 1
        self.busiest = max(self.busiest, self._open)
        try:
            if question in self.hangs:
                await asyncio.Event().wait()
            await asyncio.sleep(0)
        finally:
            self._open -= 1
        answer = self.answers.get(question, Answer("", refused=True))
        if isinstance(answer, Exception):
            raise answer
        return answer
