"""A run for people, as a table, and for programs, as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

from evals.runner import Run
from evals.statistics import Estimate
from evals.summary import Metric, Slice, Summary
from evals.verdicts import CaseResult

FORMAT = 1
"""Of the JSON report; a change that a reader would notice raises it."""


def table(run: Run, summary: Summary) -> str:
    """The figures in plain text, each with its interval and the number of its cases."""
    lines = [f"{run.suite.name}: {len(run.results)} cases"]
    if run.intake is not None:
        lines[0] += f", {run.intake.taken} documents, {len(run.intake.rejected)} rejected"
    for part in summary.slices:
        lines += ["", f"{part.name} ({part.cases})", *_rows(part.metrics)]
    if summary.answered_by:
        lines += ["", "answered by", *_rows(summary.answered_by)]
    lines += ["", *_closing(summary)]
    return "\n".join(lines) + "\n"


def _rows(metrics: Sequence[Metric]) -> list[str]:
    width = max((len(metric.name) for metric in metrics), default=0)
    return [
        f"  {metric.name:<{width}}  {_shown(metric.estimate)}  {metric.of}" for metric in metrics
    ]


def _shown(estimate: Estimate) -> str:
    if estimate.n == 0:
        return f"{'–':>5}  {'':13}  {0:>5}"
    interval = f"{estimate.low:.3f}–{estimate.high:.3f}"
    return f"{estimate.value:5.3f}  {interval:<13}  {estimate.n:>5}"


def _closing(summary: Summary) -> list[str]:
    lines = [
        f"errors: {summary.search_errors} of searches, {summary.ask_errors} of answers",
        f"quotes that are not in their source: {summary.false_quotes}",
    ]
    if not math.isnan(summary.latency_p50):
        lines.append(
            f"seconds to an answer: {summary.latency_p50:.2f} median, "
            f"{summary.latency_p95:.2f} at 95 %"
        )
    return lines


def as_json(run: Run, summary: Summary) -> str:
    """Everything: options, figures, and every case with its answer and verdict."""
    return json.dumps(
        {
            "format": FORMAT,
            "suite": run.suite.name,
            "options": {
                "depth": run.options.depth,
                "searches": run.options.searches,
                "asks": run.options.asks,
                "concurrency": run.options.concurrency,
                "timeout_seconds": run.options.timeout,
            },
            "documents": {
                "taken": run.intake.taken if run.intake else None,
                "rejected": [{"uri": uri, "reason": reason} for uri, reason in run.intake.rejected]
                if run.intake
                else [],
            },
            "slices": [_slice(part) for part in summary.slices],
            "answered_by": [_metric(metric) for metric in summary.answered_by],
            "latency_seconds": {
                "p50": _number(summary.latency_p50),
                "p95": _number(summary.latency_p95),
            },
            "errors": {"search": summary.search_errors, "ask": summary.ask_errors},
            "false_quotes": summary.false_quotes,
            "cases": [_case(result) for result in run.results],
        },
        ensure_ascii=False,
        indent=1,
        allow_nan=False,
    )


def _slice(part: Slice) -> dict[str, object]:
    return {
        "name": part.name,
        "cases": part.cases,
        "metrics": [_metric(metric) for metric in part.metrics],
    }


def _metric(metric: Metric) -> dict[str, object]:
    estimate = metric.estimate
    return {
        "name": metric.name,
        "of": metric.of,
        "value": _number(estimate.value),
        "low": _number(estimate.low),
        "high": _number(estimate.high),
        "n": estimate.n,
    }


def _case(result: CaseResult) -> dict[str, object]:
    case, judgement = result.case, result.judgement
    shown: dict[str, object] = {
        "id": case.id,
        "question": case.question,
        "answerable": case.answerable,
        "accepted": list(case.answers),
        "documents": list(case.documents),
        "ranking": None if result.ranking is None else list(result.ranking),
        "verdict": result.verdict.value if result.verdict else None,
        "search_error": result.search_error,
        "ask_error": result.ask_error,
    }
    if judgement is not None:
        answer = judgement.answer
        shown |= {
            "answer": answer.text,
            "refused": answer.refused,
            "answered_by": answer.answered_by,
            "confidence": answer.confidence,
            "latency_seconds": answer.latency,
            "citations": [cited.uri for cited in answer.citations],
            "false_quotes": judgement.false_quotes,
        }
    return shown


def _number(value: float) -> float | None:
    """JSON has no NaN."""
    return None if math.isnan(value) else value
