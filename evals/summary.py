"""A run in figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from evals.retrieval_scores import ndcg, recall, reciprocal_rank
from evals.runner import Run
from evals.statistics import (
    Estimate,
    auc_estimate,
    mean,
    percentile,
    proportion,
    refused_when_keeping,
)
from evals.verdicts import CaseResult, Judgement, Verdict

_RECALL_AT = (1, 3, 5, 10, 20, 50, 100)
_CUT = 10
_KEPT = 0.85


@dataclass(frozen=True, slots=True)
class Metric:
    """A figure with its name; `of` says which cases it is about."""

    name: str
    estimate: Estimate
    of: str


@dataclass(frozen=True, slots=True)
class Slice:
    """Some of the cases, by a property of theirs, and their figures."""

    name: str
    cases: int
    metrics: tuple[Metric, ...]


@dataclass(frozen=True, slots=True)
class Summary:
    """All figures of a run: over all cases first, then by language, wording and held-out half.

    `answered_by` gives who wrote the answers that were no refusals. Latencies are in seconds,
    NaN without answers.
    """

    slices: tuple[Slice, ...]
    answered_by: tuple[Metric, ...]
    latency_p50: float
    latency_p95: float
    search_errors: int
    ask_errors: int
    false_quotes: int


def summarise(run: Run, *, seed: int = 0, resamples: int = 1000) -> Summary:
    """The figures of a run; the same seed gives the same intervals."""
    figures = _Figures(run.options.depth, seed, resamples)
    judged = [result.judgement for result in run.results if result.judgement]
    latencies = [judgement.answer.latency for judgement in judged]
    return Summary(
        slices=tuple(
            Slice(name, len(results), tuple(figures.of(results)))
            for name, results in _slices(run.results)
        ),
        answered_by=tuple(_authors(judged)),
        latency_p50=percentile(latencies, 0.5),
        latency_p95=percentile(latencies, 0.95),
        search_errors=sum(bool(result.search_error) for result in run.results),
        ask_errors=sum(bool(result.ask_error) for result in run.results),
        false_quotes=sum(judgement.false_quotes for judgement in judged),
    )


def _slices(results: Sequence[CaseResult]) -> list[tuple[str, Sequence[CaseResult]]]:
    """All cases, and each group that is neither empty nor all of them."""
    languages = sorted({result.case.language for result in results if result.case.language})
    groups: list[tuple[str, Callable[[CaseResult], bool]]] = [
        *((f"language {tag}", lambda r, tag=tag: r.case.language == tag) for tag in languages),
        ("in their words", lambda r: not r.case.paraphrased),
        ("paraphrased", lambda r: r.case.paraphrased),
        ("tuned on", lambda r: not r.case.held_out),
        ("held out", lambda r: r.case.held_out),
    ]
    sliced: list[tuple[str, Sequence[CaseResult]]] = [("all", results)]
    for name, belongs in groups:
        chosen = [result for result in results if belongs(result)]
        if 0 < len(chosen) < len(results):
            sliced.append((name, chosen))
    return sliced


def _authors(judged: Sequence[Judgement]) -> list[Metric]:
    answered = [j.answer.answered_by or "unknown" for j in judged if not j.answer.refused]
    return [
        Metric(author, proportion(answered.count(author), len(answered)), "answers")
        for author in sorted(set(answered))
    ]


@dataclass(frozen=True, slots=True)
class _Figures:
    depth: int
    seed: int
    resamples: int

    def of(self, results: Sequence[CaseResult]) -> list[Metric]:
        """What can be told of these results; a case that failed counts as failed."""
        metrics: list[Metric] = []
        searched = [result for result in results if result.ranking is not None]
        if searched:
            metrics += self._retrieval(searched)
        asked = [result for result in results if result.verdict is not None]
        if asked:
            metrics += _verdicts(asked)
            metrics += self._answers(asked)
            metrics += self._confidence(asked)
        return metrics

    def _mean(self, values: Sequence[float]) -> Estimate:
        return mean(values, seed=self.seed, resamples=self.resamples)

    def _retrieval(self, searched: Sequence[CaseResult]) -> list[Metric]:
        cut = min(_CUT, self.depth)
        pairs = [(result.ranking or (), result.gains or {}) for result in searched]
        means = {
            f"nDCG@{cut}": [ndcg(ranking, gains, cut) for ranking, gains in pairs],
            f"MRR@{cut}": [reciprocal_rank(ranking, gains, cut) for ranking, gains in pairs],
        } | {
            f"recall@{k}": [recall(ranking, gains, k) for ranking, gains in pairs]
            for k in _RECALL_AT
            if k <= self.depth
        }
        return [Metric(name, self._share(values), "searches") for name, values in means.items()]

    def _share(self, values: Sequence[float]) -> Estimate:
        """A mean; where every value is 0 or 1 it is a proportion."""
        if all(value in {0.0, 1.0} for value in values):
            return proportion(int(sum(values)), len(values))
        return self._mean(values)

    def _answers(self, asked: Sequence[CaseResult]) -> list[Metric]:
        answerable = [result for result in asked if result.case.answerable]
        judged = [result.judgement for result in answerable]
        n = len(answerable)
        answered = [j for j in judged if j is not None and not j.answer.refused]
        precisions = [j.citation_precision for j in answered if j.citation_precision is not None]
        found = "answerable"
        return [
            Metric("contains the answer", proportion(sum(j.contains for j in answered), n), found),
            Metric("exact", proportion(sum(j.exact for j in answered), n), found),
            Metric("F1", self._mean([j.f1 if j else 0.0 for j in judged]), found),
            Metric("citation precision", self._share(precisions), "answers with citations"),
            Metric(
                "citation recall",
                proportion(sum(j.cites_source for j in answered), len(answered)),
                "answers to the answerable",
            ),
            *_refusals(asked),
        ]

    def _confidence(self, asked: Sequence[CaseResult]) -> list[Metric]:
        """How well the system's own score tells what can be answered, where it gives one."""
        scored = [
            (result.case.answerable, result.judgement.answer.confidence)
            for result in asked
            if result.judgement is not None and result.judgement.answer.confidence is not None
        ]
        positives = [score for answerable, score in scored if answerable]
        negatives = [score for answerable, score in scored if not answerable]
        if not positives or not negatives:
            return []
        area = auc_estimate(positives, negatives, seed=self.seed, resamples=self.resamples)
        refused = refused_when_keeping(positives, negatives, _KEPT)
        return [
            Metric("refusal ROC-AUC", area, "answers with a score"),
            Metric(f"refused, keeping {_KEPT:.0%}", refused, "unanswerable with a score"),
        ]


def _verdicts(asked: Sequence[CaseResult]) -> list[Metric]:
    """The shares of the verdicts; they add up to 1."""
    verdicts = [result.verdict for result in asked]
    return [
        Metric(verdict.value, proportion(verdicts.count(verdict), len(verdicts)), "cases")
        for verdict in Verdict
    ]


def _refusals(asked: Sequence[CaseResult]) -> list[Metric]:
    answerable = [result.verdict for result in asked if result.case.answerable]
    others = [result.verdict for result in asked if not result.case.answerable]
    return [
        Metric(
            "refused though answerable",
            proportion(answerable.count(Verdict.WRONGLY_REFUSED), len(answerable)),
            "answerable",
        ),
        Metric(
            "refused as unanswerable",
            proportion(others.count(Verdict.RIGHTLY_REFUSED), len(others)),
            "unanswerable",
        ),
    ]
