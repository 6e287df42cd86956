"""What is evaluated, as an evaluation sees it: documents go in, questions are answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from core.identifiers import Seconds


@dataclass(frozen=True, slots=True)
class SuiteDocument:
    """A document of a suite. `uri` is how judgements and citations name it."""

    uri: str
    content: bytes
    title: str = ""
    content_type: str = ""


@dataclass(frozen=True, slots=True)
class Intake:
    """What became of the documents: how many are there now, and which were not taken, and why."""

    taken: int
    rejected: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Citation:
    """A source that an answer names.

    `quote` is what the answer shows as the source's own words, "" where it shows none, and
    `source` the text of the cited passage: a quote that is not in it is a false one.
    """

    uri: str
    quote: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back for a question.

    `answered_by` says who wrote the text (`model`, `repair`, `extraction` …). `confidence` is the
    system's own score that the documents answer the question, higher is surer; None if it gives
    none.
    """

    text: str
    citations: tuple[Citation, ...] = ()
    refused: bool = False
    answered_by: str = ""
    latency: Seconds = Seconds(0.0)
    confidence: float | None = None


class SystemUnderTest(Protocol):
    """The product, or a stand-in for it. Calls of `search` and `ask` overlap.

    What it raises counts as an error of the case that it was raised for.
    """

    async def ingest(self, documents: Sequence[SuiteDocument]) -> Intake:
        """Take these documents in, and nothing else; they are searchable when it returns."""

    async def search(self, query: str, k: int) -> Sequence[str]:
        """The uris of what was found, best first, until `k` different ones or the end.

        A document that was found by several of its passages may come several times.
        """

    async def ask(self, question: str) -> Answer:
        """The answer to one question, asked on its own."""
