"""What one case came to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from evals.cases import Case
from evals.matching import contains, f1, is_exact, is_quoted_from
from evals.system import Answer


class Verdict(Enum):
    """How an answer is judged. Each case has exactly one, so that the shares add up to 1."""

    RIGHT = "right and cited"
    UNCITED = "right, not cited"
    RIGHTLY_REFUSED = "rightly refused"
    WRONGLY_REFUSED = "wrongly refused"
    WRONG = "wrong"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Judgement:
    """An answer with all that was found out about it.

    `citation_precision` is the share of its citations that name a document which holds the
    answer, None without any; `cites_source` whether at least one does. `false_quotes` counts the
    quotes that are not in their source.
    """

    verdict: Verdict
    answer: Answer
    contains: bool = False
    exact: bool = False
    f1: float = 0.0
    citation_precision: float | None = None
    cites_source: bool = False
    false_quotes: int = 0


@dataclass(frozen=True, slots=True)
class CaseResult:
    """All about one case. What was not asked for is None; an error says what failed."""

    case: Case
    ranking: tuple[str, ...] | None = None
    gains: Mapping[str, int] | None = None
    judgement: Judgement | None = None
    search_error: str = ""
    ask_error: str = ""

    @property
    def verdict(self) -> Verdict | None:
        """The judgement's; an error where asking failed; None if it was not asked."""
        if self.ask_error:
            return Verdict.ERROR
        return self.judgement.verdict if self.judgement else None


def judge(case: Case, answer: Answer) -> Judgement:
    """The verdict on an answer.

    It is right if an accepted answer stands in it; cited if at least one citation names a
    document that holds the answer, or any document where the case names none. A refusal is right
    for what cannot be answered, whatever is answered instead is wrong.
    """
    false_quotes = sum(
        not is_quoted_from(cited.quote, cited.source) for cited in answer.citations if cited.quote
    )
    if answer.refused:
        verdict = Verdict.WRONGLY_REFUSED if case.answerable else Verdict.RIGHTLY_REFUSED
        return Judgement(verdict, answer, false_quotes=false_quotes)
    cited = [citation.uri for citation in answer.citations]
    holding = [uri for uri in cited if uri in case.documents or not case.documents]
    is_right = case.answerable and contains(answer.text, case.answers)
    return Judgement(
        verdict=_answered(is_right=is_right, is_cited=bool(holding)),
        answer=answer,
        contains=is_right,
        exact=case.answerable and is_exact(answer.text, case.answers),
        f1=f1(answer.text, case.answers),
        citation_precision=len(holding) / len(cited) if cited else None,
        cites_source=bool(holding),
        false_quotes=false_quotes,
    )


def _answered(*, is_right: bool, is_cited: bool) -> Verdict:
    if not is_right:
        return Verdict.WRONG
    return Verdict.RIGHT if is_cited else Verdict.UNCITED
