"""Rankings and answers, scored by hand."""

from __future__ import annotations

import math

import pytest

from evals.cases import Case
from evals.matching import contains, f1, is_exact, is_quoted_from, words
from evals.retrieval_scores import distinct, ndcg, recall, reciprocal_rank
from evals.system import Answer, Citation
from evals.verdicts import Verdict, judge

GAINS = {"a": 3, "b": 2, "c": 1}


def test_passages_become_documents_where_their_best_stands() -> None:
    assert distinct(["b", "a", "b", "c", "a"]) == ["b", "a", "c"]


def test_ndcg_with_graded_gains() -> None:
    ideal = 3 / 1 + 2 / math.log2(3) + 1 / 2
    assert ndcg(["a", "b", "c"], GAINS, 10) == pytest.approx(1.0)
    assert ndcg(["c", "x", "a"], GAINS, 10) == pytest.approx((1 + 3 / 2) / ideal)
    assert ndcg(["c", "x", "a"], GAINS, 1) == pytest.approx(1 / 3)
    assert ndcg([], GAINS, 10) == 0.0


def test_recall_and_reciprocal_rank() -> None:
    assert recall(["x", "a", "b"], GAINS, 2) == pytest.approx(1 / 3)
    assert recall(["x", "a", "b"], GAINS, 3) == pytest.approx(2 / 3)
    assert reciprocal_rank(["x", "y", "b"], GAINS, 10) == pytest.approx(1 / 3)
    assert reciprocal_rank(["x", "y", "b"], GAINS, 2) == 0.0


@pytest.mark.parametrize(
    ("text", "answers", "expected"),
    [
        ("It is about 1,230 km long [1].", ("1230 km",), True),
        ("The Rhine flows into the North Sea.", ("north sea",), True),
        ("The house is open.", ("us",), False),
        ("Version 13.5 came later.", ("3.5", "13"), False),
        ("服务器默认监听 50051 端口。", ("监听50051端口",), True),
        ("它在１９９８年建成。", ("1998 年",), True),
        ("Run `ss -ltnp` to see it.", ("ss -ltnp",), True),
        ("Use the backup of your system.", (".backup",), False),
        ('Use SQLite\'s ".backup" command.', (".backup",), True),
        ("It listens on `127.0.0.1:7600`.", ("127.0.0.1:7600",), True),
        ("Anything", ("", "…"), False),
        ("Anything", (), False),
    ],
)
def test_an_answer_is_found_in_whole_words(
    text: str, answers: tuple[str, ...], expected: bool
) -> None:
    assert contains(text, answers) is expected


def test_dress_does_not_matter() -> None:
    assert is_exact("The Danube. [2]", ("Danube",))
    assert is_exact("「光荣和ω-force」", ("光荣和ω-Force",))
    assert not is_exact("The Danube river", ("Danube",))
    assert not is_exact("", ("",))


def test_words_of_any_script() -> None:
    assert words("The CAFÉ's 3.5 GB, 第1章 [1, 2] サーバー") == (
        ["café", "s", "3.5", "gb", "第", "1", "章", "サ", "ー", "バ", "ー"]
    )


def test_f1_is_the_best_overlap() -> None:
    # two of three words given, two of two accepted: 2 · 2 / (3 + 2)
    assert f1("in North Sea", ("North Sea", "Baltic")) == pytest.approx(0.8)
    assert f1("北海里", ("北海",)) == pytest.approx(0.8)
    assert f1("nothing", ("North Sea",)) == 0.0


def test_a_quote_stands_in_its_source_letter_by_letter() -> None:
    assert is_quoted_from("starts\nat once.", "It starts at once. Then")
    assert not is_quoted_from("Starts at once.", "It starts at once.")


CASE = Case("1", "Where?", answers=("the North Sea",), documents=("p1", "p2"))
UNANSWERABLE = Case("2", "How deep?", answerable=False)


@pytest.mark.parametrize(
    ("case", "answer", "verdict"),
    [
        (CASE, Answer("Into the North Sea [1].", (Citation("p2"),)), Verdict.RIGHT),
        (CASE, Answer("Into the North Sea.", (Citation("p9"),)), Verdict.UNCITED),
        (CASE, Answer("Into the North Sea."), Verdict.UNCITED),
        (CASE, Answer("Into the Baltic.", (Citation("p1"),)), Verdict.WRONG),
        (CASE, Answer("The documents don't say.", refused=True), Verdict.WRONGLY_REFUSED),
        (UNANSWERABLE, Answer("I don't know.", refused=True), Verdict.RIGHTLY_REFUSED),
        (UNANSWERABLE, Answer("Five metres.", (Citation("p1"),)), Verdict.WRONG),
    ],
)
def test_every_answer_has_one_verdict(case: Case, answer: Answer, verdict: Verdict) -> None:
    assert judge(case, answer).verdict is verdict


def test_citations_are_judged_one_by_one() -> None:
    cited = (Citation("p1"), Citation("p9"), Citation("p2"), Citation("p8"))
    judgement = judge(CASE, Answer("North Sea", cited))
    assert judgement.citation_precision == 0.5
    assert judgement.cites_source
    assert judge(CASE, Answer("North Sea")).citation_precision is None


def test_false_quotes_are_counted() -> None:
    cited = (
        Citation("p1", quote="into the North Sea", source="It flows into the North Sea."),
        Citation("p1", quote="into the Baltic", source="It flows into the North Sea."),
        Citation("p2"),
    )
    assert judge(CASE, Answer("North Sea", cited)).false_quotes == 1
