"""Fits and measures the choice of sentences and the refusals of the extractive answer.

    python -m benchmarks.extraction fit        prints the tables of core/grounding/weights.py
    python -m benchmarks.extraction measure    this repository's cases and CMRC, out of fold
    python -m benchmarks.extraction rhine      SQuAD 2.0 "Rhine", on which nothing is fitted

The ranking is a softmax over the sentences of a question's passages, the refusal a logistic
regression, in which a question whose passage is withheld counts as one without an answer.
COLONNADE_DATA names the folder of the public sets.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence

import numpy as np

from adapters.embedders.e5_nano import e5_nano
from adapters.embedders.minilm_onnx import minilm_onnx
from benchmarks.extraction_cases import DATA, Case, cases, cmrc, dev_cases, rhine
from core.grounding import weights

Floats = np.ndarray
FOLDS = 5
RESAMPLES = 2_000
SETS = ("en minilm", "en e5", "zh e5", "cmrc e5")
RANKING_SHARE = {"en minilm": 1.0, "en e5": 0.5, "zh e5": 1.0, "cmrc e5": 0.3}
ODDS_SHARE = {"en minilm": 1.0, "en e5": 0.5, "zh e5": 1.0, "cmrc e5": 0.1}
WITHHELD_SHARE = {"en minilm": 0.15, "en e5": 0.15, "zh e5": 0.15, "cmrc e5": 0.1}
"""How much a question counts: sets are of very different sizes, and CMRC is easy."""


def is_right(case: Case, text: str) -> bool:
    """Whether the text holds one of the accepted answers."""
    return any(answer.casefold() in text.casefold() for answer in case.asked.answers)


def fit_ranking(weighted: Sequence[tuple[Case, float]], names: Sequence[str]) -> dict[str, float]:
    """Softmax regression over each question's sentences, by Adam, with an L2 of 3."""
    groups = []
    for case, share in weighted:
        rows = np.array([[s.features[n] for n in names] for s in case.ranking.scored])
        right = np.array(
            [
                is_right(case, s.candidate.sentence.text)
                and case.ranking.passages[s.candidate.number - 1].chunk.id == case.asked.passage
                for s in case.ranking.scored
            ],
            float,
        )
        if right.any():
            groups.append((rows, right / right.sum(), share))
    every = np.concatenate([rows for rows, _, _ in groups])
    mean, deviation = every.mean(0), every.std(0) + 1e-9
    total = sum(share for _, _, share in groups)
    w, m, v = np.zeros(len(names)), np.zeros(len(names)), np.zeros(len(names))
    for step in range(1, 301):
        gradient = 3.0 * w / total
        for rows, target, share in groups:
            scaled = (rows - mean) / deviation
            powers = np.exp(scaled @ w - (scaled @ w).max())
            gradient += share * scaled.T @ (powers / powers.sum() - target) / total
        m, v = 0.9 * m + 0.1 * gradient, 0.99 * v + 0.01 * gradient**2
        w -= 0.04 * (m / (1 - 0.9**step)) / (np.sqrt(v / (1 - 0.99**step)) + 1e-8)
    return dict(zip(names, map(float, (w / deviation).round(2)), strict=True))


def fit_odds(rows: Floats, answered: Floats, share: Floats, names: Sequence[str]) -> Floats:
    """Logistic regression by Newton's method, with an L2 of 10; the constant is `one`."""
    one = names.index("one")
    mean, deviation = rows.mean(0), rows.std(0) + 1e-9
    mean[one], deviation[one] = 0.0, 1.0
    scaled, w = (rows - mean) / deviation, np.zeros(len(names))
    penalty = np.eye(len(names)) * 10.0
    penalty[one, one] = 1e-6
    for _ in range(40):
        p = 1 / (1 + np.exp(-scaled @ w))
        curvature = (scaled * (share * p * (1 - p))[:, None]).T @ scaled + penalty
        w -= np.linalg.solve(curvature, scaled.T @ (share * (p - answered)) + penalty @ w)
    plain = w / deviation
    plain[one] = w[one] - (np.delete(w / deviation * mean, one)).sum()
    result: Floats = plain
    return result


def auc(scores: Floats, positive: Floats) -> float:
    """The area under the ROC curve: how often an answered question scores above another."""
    high, low = scores[positive > 0], scores[positive == 0]
    return float(((high[:, None] > low) + 0.5 * (high[:, None] == low)).mean())


def interval(values: Floats) -> str:
    """The mean with its 95 % bootstrap interval."""
    draws = np.random.default_rng(0).choice(values, (RESAMPLES, len(values))).mean(1)
    low, high = np.quantile(draws, (0.025, 0.975))
    return f"{values.mean():.3f} [{low:.3f}, {high:.3f}]"


def auc_interval(scores: Floats, positive: Floats) -> str:
    """The AUC with its 95 % bootstrap interval."""
    random, values = np.random.default_rng(0), []
    for _ in range(RESAMPLES // 4):
        drawn = random.integers(0, len(scores), len(scores))
        values.append(auc(scores[drawn], positive[drawn]))
    low, high = np.quantile(values, (0.025, 0.975))
    return f"{auc(scores, positive):.3f} [{low:.3f}, {high:.3f}]"


async def gather() -> dict[tuple[str, bool], list[Case]]:
    """All sets that may be fitted on, with their passages and with the right one withheld."""
    english, chinese, public = dev_cases("en"), dev_cases("zh"), cmrc()
    minilm, e5 = minilm_onnx(), e5_nano()
    sources = dict(
        zip(SETS, ((english, minilm), (english, e5), (chinese, e5), (public, e5)), strict=True)
    )
    made = {}
    for name, ((documents, questions), embedder) in sources.items():
        made[name, False], made[name, True] = await cases(documents, questions, embedder)
    return made


def table(
    made: dict[tuple[str, bool], list[Case]], names: Sequence[str], *, by_words: bool
) -> tuple[Floats, Floats, Floats, Floats, list[tuple[str, bool]]]:
    """Features, labels, shares, folds and sets of all questions."""
    rows, answered, share, fold, origin = [], [], [], [], []
    for (name, withheld), members in made.items():
        for case in members:
            features = case.odds_by_words if by_words else case.odds
            rows.append([features[n] for n in names])
            answered.append(float(case.asked.answerable and not withheld))
            share.append((WITHHELD_SHARE if withheld else ODDS_SHARE)[name])
            fold.append(case.fold)
            origin.append((name, withheld))
    return np.array(rows), np.array(answered), np.array(share), np.array(fold), origin


def fit(made: dict[tuple[str, bool], list[Case]]) -> None:
    """Print the four tables. The odds stand on the ranking's weights: fit those first."""
    weighted = [(c, RANKING_SHARE[name]) for name in SETS for c in made[name, False]]
    with_cosines = list(weights.RANKING_WITH_COSINES)
    print("RANKING_WITH_COSINES =", fit_ranking(weighted, with_cosines))
    print("RANKING_BY_WORDS =", fit_ranking(weighted, list(weights.RANKING_BY_WORDS)))
    for title, known, by_words in (
        ("ANSWERABLE_WITH_VECTORS", weights.ANSWERABLE_WITH_VECTORS, False),
        ("ANSWERABLE_BY_WORDS", weights.ANSWERABLE_BY_WORDS, True),
    ):
        rows, answered, share, _, _ = table(made, list(known), by_words=by_words)
        found = fit_odds(rows, answered, share, list(known))
        print(title, "=", dict(zip(known, map(float, found.round(3)), strict=True)))


def measure(made: dict[tuple[str, bool], list[Case]]) -> None:
    """Sentences as they are ranked now (a handful of weights), refusals out of fold."""
    for name in SETS:
        print_ranking(name, made[name, False])
    for known, by_words in (
        (weights.ANSWERABLE_WITH_VECTORS, False),
        (weights.ANSWERABLE_BY_WORDS, True),
    ):
        names = list(known)
        rows, answered, share, fold, origin = table(made, names, by_words=by_words)
        scores = np.zeros(len(rows))
        for held_out in range(FOLDS):
            kept = fold != held_out
            w = fit_odds(rows[kept], answered[kept], share[kept], names)
            scores[~kept] = rows[~kept] @ w
        of = np.array([SETS.index(name) * 2 + withheld for name, withheld in origin])
        for place, name in enumerate(SETS):
            own = of == place * 2
            gone = (of == place * 2 + 1) | (own & (answered > 0))
            print(
                f"{name}, {'words' if by_words else 'vectors'}: refusal AUC of adversarial",
                auc_interval(scores[own], answered[own]) if (answered[own] == 0).any() else "-",
                "of withheld",
                auc_interval(scores[gone], answered[gone]),
            )


def print_ranking(name: str, members: Sequence[Case]) -> None:
    """How often the first, two or three best sentences hold an accepted answer."""
    for way in ("vectors", "words"):
        figures = []
        for count in (1, 2, 3):
            shown = [
                any(is_right(c, s.candidate.sentence.text) for s in ranking.scored[:count])
                for c in members
                if c.asked.answerable
                for ranking in (c.ranking if way == "vectors" else c.by_words,)
            ]
            figures.append(interval(np.array(shown, float)))
        print(f"{name}, {way}: right with one, two, three sentences:", ", ".join(figures))


async def measure_rhine() -> None:
    """The figures on a set that has no part in any choice."""
    documents, questions = rhine()
    members, _ = await cases(documents, questions, minilm_onnx())
    print_ranking("rhine", members)
    answered = np.array([float(case.asked.answerable) for case in members])
    for title, known in (
        ("vectors", weights.ANSWERABLE_WITH_VECTORS),
        ("words", weights.ANSWERABLE_BY_WORDS),
    ):
        rows = [c.odds if title == "vectors" else c.odds_by_words for c in members]
        odds = np.array([sum(w * row[n] for n, w in known.items()) for row in rows])
        line = np.quantile(odds[answered > 0], 0.15)
        print(f"rhine, {title}: refusal AUC {auc_interval(odds, answered)};")
        print(
            f"  refused at 85 % of the answerable kept: {(odds[answered == 0] < line).mean():.3f}"
        )
        for threshold in (-1.5, -1.25, -1.0):
            wrong, rightly = odds[answered > 0] < threshold, odds[answered == 0] < threshold
            print(f"  below {threshold}: wrongly {wrong.mean():.3f}, rightly {rightly.mean():.3f}")


if __name__ == "__main__":
    if not DATA.joinpath("cmrc2018-dev").is_dir():
        sys.exit("COLONNADE_DATA must name the folder that holds cmrc2018-dev and squad2-rhine")
    if sys.argv[1:] == ["rhine"]:
        asyncio.run(measure_rhine())
    else:
        gathered = asyncio.run(gather())
        (fit if sys.argv[1:] == ["fit"] else measure)(gathered)
