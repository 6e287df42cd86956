"""What the features of an extractive answer weigh.

Fitted as `benchmarks/extraction.py fit` does it, before the last change of what counts as a
content word; so a new fit prints slightly other figures.

Fitted on the cases in tests/core/cases (52 passages, 845 questions of our own, in English and
Chinese, with MiniLM and with E5 for the English ones) and on every sixth passage of CMRC 2018
dev: the ranking as a softmax over the sentences of a question's passages; the odds of an answer
as a logistic regression, where a question whose passage is withheld counts as one without.
Nothing was fitted on SQuAD.
"""

from __future__ import annotations

RANKING_WITH_COSINES = {
    "covered": 5.91,
    "nearby": 5.84,
    "fit": 2.26,
    "fresh": 0.77,
    "relative": 4.51,
    "cosine": 2.08,
}
RANKING_BY_WORDS = {
    "covered": 9.02,
    "nearby": 4.47,
    "fit": 2.75,
    "fresh": -0.34,
    "relative": 6.48,
}
"""The same where no embedder is at hand."""

ANSWERABLE_WITH_VECTORS = {
    "one": -2.847,
    "score": 0.171,
    "margin": -0.22,
    "covered": -0.401,
    "gap": -0.068,
    "fit": 0.747,
    "best_cosine": 0.894,
    "missing_names": -1.546,
    "missing_numbers": -1.302,
    "opposite": -2.016,
    "negation": 1.562,
    "word_mean": 0.151,
    "word_least": 1.084,
    "like_mean": -0.838,
    "like_gap": -0.03,
    "like_least": 0.661,
}
ANSWERABLE_BY_WORDS = {
    "one": -2.627,
    "score": 0.131,
    "margin": -0.252,
    "covered": 1.717,
    "gap": -0.052,
    "fit": 0.585,
    "missing_names": -1.774,
    "missing_numbers": -1.266,
    "opposite": -1.601,
    "negation": 1.707,
}
