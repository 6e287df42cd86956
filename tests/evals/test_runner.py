"""Whole runs against a system that answers from a table."""

from __future__ import annotations

import asyncio
import json
import math

import pytest

from core.identifiers import Seconds
from evals.cases import Case, Suite
from evals.report import as_json, table
from evals.runner import Progress, Run, RunOptions, run_suite
from evals.statistics import Estimate
from evals.summary import Summary, summarise
from evals.system import Answer, Citation, SuiteDocument
from evals.verdicts import Verdict
from fakes.evaluated_system import FakeSystem

CASES = (
    Case("1", "q1", answers=("North Sea",), documents=("p1",), language="en"),
    Case("2", "q2", answers=("1,230 km",), documents=("p2",), language="en", held_out=True),
    Case("3", "q3", answers=("北海",), documents=("p3",), language="zh", paraphrased=True),
    Case("4", "q4", answerable=False, language="en"),
    Case("5", "q5", answerable=False, language="zh", held_out=True),
)
SUITE = Suite(
    "rivers",
    CASES,
    tuple(SuiteDocument(f"p{n}", b"text") for n in (1, 2, 3)),
    {case.id: dict.fromkeys(case.documents, 1) for case in CASES if case.documents},
)


def a_system() -> FakeSystem:
    return FakeSystem(
        rankings={"q1": ["p1", "p1", "p2"], "q2": ["p1", "p3"], "q3": RuntimeError("search down")},
        answers={
            "q1": Answer(
                "Into the North Sea [1].",
                (Citation("p1", "the North Sea", "in the North Sea."),),
                answered_by="model",
                latency=Seconds(0.2),
                confidence=0.9,
            ),
            "q2": Answer("No.", refused=True, latency=Seconds(0.1), confidence=0.3),
            "q3": Answer("流入北海。", answered_by="extraction", latency=Seconds(0.4)),
            "q4": Answer("Five.", answered_by="extraction", latency=Seconds(0.3), confidence=0.4),
            "q5": ValueError("broken\nbadly"),
        },
        rejected=(("p9", "empty"),),
    )


async def a_run() -> Run:
    return await run_suite(SUITE, a_system())


def figure(summary: Summary, name: str, part: str = "all") -> Estimate:
    (chosen,) = [each for each in summary.slices if each.name == part]
    (metric,) = [each for each in chosen.metrics if each.name == name]
    return metric.estimate


async def test_every_case_has_its_result_in_the_suites_order() -> None:
    run = await a_run()
    assert [result.case for result in run.results] == list(CASES)
    assert [result.verdict for result in run.results] == [
        Verdict.RIGHT,
        Verdict.WRONGLY_REFUSED,
        Verdict.UNCITED,
        Verdict.WRONG,
        Verdict.ERROR,
    ]
    assert run.results[0].ranking == ("p1", "p2")
    assert run.results[2].search_error == "RuntimeError: search down"
    assert run.results[3].ranking is None
    assert run.results[4].ask_error == "ValueError: broken\nbadly"


async def test_the_figures_are_those_of_the_cases() -> None:
    summary = summarise(await a_run(), seed=1, resamples=200)
    assert figure(summary, "recall@1").value == pytest.approx(1 / 3)
    assert figure(summary, "MRR@10").value == pytest.approx(1 / 3)
    for verdict in Verdict:
        share = 0.0 if verdict is Verdict.RIGHTLY_REFUSED else 0.2
        assert figure(summary, verdict.value).value == pytest.approx(share)
    assert figure(summary, "contains the answer").value == pytest.approx(2 / 3)
    assert figure(summary, "refused though answerable").value == pytest.approx(1 / 3)
    assert figure(summary, "refused as unanswerable").n == 2
    assert figure(summary, "citation precision").n == 1
    assert figure(summary, "citation recall").value == pytest.approx(1 / 2)
    assert figure(summary, "refusal ROC-AUC").value == pytest.approx(1 / 2)
    assert (summary.search_errors, summary.ask_errors, summary.false_quotes) == (1, 1, 0)
    assert summary.latency_p50 == pytest.approx(0.2)


async def test_errors_count_as_failures_and_are_not_left_out() -> None:
    summary = summarise(await a_run())
    assert figure(summary, "recall@1").n == 3
    assert figure(summary, "error").n == 5


async def test_groups_of_cases_have_figures_of_their_own() -> None:
    summary = summarise(await a_run())
    assert [(part.name, part.cases) for part in summary.slices] == [
        ("all", 5),
        ("language en", 3),
        ("language zh", 2),
        ("in their words", 4),
        ("paraphrased", 1),
        ("tuned on", 3),
        ("held out", 2),
    ]
    assert figure(summary, "right and cited", "held out").value == 0.0


async def test_who_wrote_the_answers() -> None:
    summary = summarise(await a_run())
    shares = {metric.name: metric.estimate.value for metric in summary.answered_by}
    assert shares == {"extraction": pytest.approx(2 / 3), "model": pytest.approx(1 / 3)}


async def test_a_case_that_takes_too_long_is_an_error_and_holds_up_no_other() -> None:
    system = a_system()
    system.hangs = frozenset({"q1"})
    run = await run_suite(SUITE, system, RunOptions(timeout=Seconds(0.05), concurrency=1))
    assert run.results[0].ask_error == "took longer than 0.05 s"
    assert run.results[2].verdict is Verdict.UNCITED


@pytest.mark.parametrize("concurrency", [1, 3])
async def test_no_more_cases_are_open_than_allowed(concurrency: int) -> None:
    system = a_system()
    await run_suite(SUITE, system, RunOptions(concurrency=concurrency))
    assert system.busiest == concurrency


async def test_progress_is_told_case_by_case() -> None:
    told: list[Progress] = []
    await run_suite(SUITE, a_system(), on_progress=told.append)
    assert told[:2] == [Progress("ingest", 0, 3), Progress("ingest", 3, 3)]
    assert told[2:] == [Progress("cases", done, 5) for done in range(1, 6)]


async def test_only_searching_asks_nothing() -> None:
    system = a_system()
    run = await run_suite(SUITE, system, RunOptions(asks=False))
    assert system.asked == []
    summary = summarise(run)
    names = {metric.name for metric in summary.slices[0].metrics}
    assert names == {"nDCG@10", "MRR@10", "recall@1", "recall@3", "recall@5", "recall@10"}
    assert math.isnan(summary.latency_p50)


async def test_a_suite_without_documents_is_asked_as_things_are() -> None:
    system = a_system()
    run = await run_suite(Suite("s", CASES, (), {}), system)
    assert run.intake is None
    assert system.ingested == []
    assert all(result.ranking is None for result in run.results)


async def test_a_cancelled_run_ends() -> None:
    system = a_system()
    system.hangs = frozenset(case.question for case in CASES)
    task = asyncio.create_task(run_suite(SUITE, system))
    while system.busiest < 4:  # noqa: ASYNC110 - the fake has no event for it
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_the_table_is_for_people() -> None:
    run = await a_run()
    shown = table(run, summarise(run))
    assert shown.startswith("rivers: 5 cases, 2 documents, 1 rejected\n")
    line = next(each for each in shown.splitlines() if "refused as unanswerable" in each)
    assert line.split()[3:] == ["0.000", "0.000–0.658", "2", "unanswerable"]
    assert "errors: 1 of searches, 1 of answers" in shown
    assert "seconds to an answer: 0.20 median" in shown


async def test_the_json_holds_every_case_and_no_nan() -> None:
    run = await run_suite(SUITE, a_system(), RunOptions(searches=False))
    report = json.loads(as_json(run, summarise(run)))
    assert report["suite"] == "rivers"
    assert report["documents"]["rejected"] == [{"uri": "p9", "reason": "empty"}]
    assert [case["verdict"] for case in report["cases"]] == [
        "right and cited",
        "wrongly refused",
        "right, not cited",
        "wrong",
        "error",
    ]
    assert report["cases"][0]["citations"] == ["p1"]
    assert report["slices"][0]["metrics"][0]["n"] == 5
