"""What is asked, and what would be right."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass as checked

from evals.system import SuiteDocument


@checked(frozen=True, slots=True)
class Case:
    """One question with its judgement.

    `answers` are the accepted ones, any of them will do; `documents` hold the answer, each by
    itself. An unanswerable case has neither: to refuse is right. `paraphrased` says that the
    question avoids the words of the text, `held_out` that nobody tuned anything by it.
    """

    id: Annotated[str, Field(min_length=1)]
    question: Annotated[str, Field(min_length=1)]
    answerable: bool = True
    answers: tuple[str, ...] = ()
    documents: tuple[str, ...] = ()
    language: str = ""
    paraphrased: bool = False
    held_out: bool = False


@dataclass(frozen=True, slots=True)
class Suite:
    """Cases, the documents that they are asked about, and how relevant these are.

    `relevance` gives for a case's id the gain of each relevant document, at least 1.
    `documents` may be empty: then the system has them already.
    """

    name: str
    cases: tuple[Case, ...]
    documents: tuple[SuiteDocument, ...]
    relevance: Mapping[str, Mapping[str, int]]

    @property
    def has_answers(self) -> bool:
        """Whether answers can be judged, and not only what was found."""
        return any(case.answers or not case.answerable for case in self.cases)


class SuiteError(ValueError):
    """A suite's files are not as they should be; the message names the file, the line, the cure."""
