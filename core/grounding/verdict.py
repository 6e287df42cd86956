"""What the checks of an answer came to, as the client is told it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class VerdictStatus(Enum):
    """How the answer that was shown stands to the one that the model gave.

    REPAIRED: citations were mended or words left out. REPLACED: what was shown, or its rest, is
    quoted from the documents instead. REFUSED: the documents do not answer the question.
    """

    PASS = "pass"  # noqa: S105 - no password
    REPAIRED = "repaired"
    REPLACED = "replaced"
    REFUSED = "refused"


class AnsweredBy(Enum):
    """Whose words the client reads."""

    MODEL = "model"
    REPAIR = "repair"
    EXTRACTION = "extraction"


@dataclass(frozen=True, slots=True)
class Remark:
    """One thing that a rule noticed: the rule's name, and what it is, for people.

    The words that failed are not in it: what may not be shown is shown nowhere.
    """

    rule: str
    detail: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of validation. `details` are what was noticed, in the order of the checks."""

    status: VerdictStatus
    answered_by: AnsweredBy
    details: tuple[Remark, ...] = ()


@dataclass(frozen=True, slots=True)
class Tally:
    """What happened to an answer's sentences so far.

    `shown` counts those of the answer that are out, `extracted` those among them that were
    quoted after a failure (`replaced`), `repaired` those whose citations were mended,
    `left_out` those that were not shown though nothing was wrong with them. `failure` says
    what did not pass.
    """

    shown: int = 0
    extracted: int = 0
    repaired: int = 0
    left_out: int = 0
    unknown_citations: int = 0
    refused: bool = False
    replaced: bool = False
    failure: Remark | None = None


def verdict_of(tally: Tally, *, extractive: bool) -> Verdict:
    """The verdict; `extractive` when the deployment that was asked first only quotes."""
    details = tuple(_details(tally))
    own = AnsweredBy.EXTRACTION if extractive else AnsweredBy.MODEL
    if tally.refused:
        by = AnsweredBy.EXTRACTION if tally.replaced else own
        return Verdict(VerdictStatus.REFUSED, by, details)
    if tally.extracted or (tally.failure and not tally.shown):
        return Verdict(VerdictStatus.REPLACED, AnsweredBy.EXTRACTION, details)
    if tally.failure or tally.repaired or tally.left_out or tally.unknown_citations:
        by = AnsweredBy.EXTRACTION if extractive else AnsweredBy.REPAIR
        return Verdict(VerdictStatus.REPAIRED, by, details)
    return Verdict(VerdictStatus.PASS, own, details)


def _details(tally: Tally) -> Iterator[Remark]:
    if tally.failure is not None:
        yield tally.failure
    if tally.repaired:
        told = f"{tally.repaired} sentence(s) got the citation whose source holds them"
        yield Remark("citation_mended", told)
    if tally.unknown_citations:
        told = f"{tally.unknown_citations} citation(s) of passages that do not exist were dropped"
        yield Remark("citation_unknown", told)
    if tally.left_out:
        yield Remark("sentence_left_out", f"{tally.left_out} sentence(s) were left out")
