"""Whether a sentence holds an answer of the kind that a question is after."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from core.grounding.measures import measure_fit
from core.grounding.questions import AnswerKind
from core.text.plain_words import is_plain_word
from core.text.terms import terms

if TYPE_CHECKING:
    from core.grounding.questions import Question

WEAK_FIT = 0.6
UNKNOWN_FIT = 0.5

_MONTH = (
    r"January|February|March|April|May|June|July|August|September|October|November|December"
    r"|spring|summer|autumn|winter"
)
_SURELY = {
    AnswerKind.TIME: re.compile(
        rf"\b(?:1[0-9]|20)\d\ds?\b|\b(?:{_MONTH})\b|\b(?:BC|AD|BCE|century|centuries|o'clock)\b"
        r"|\b(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)days?\b|\d+:\d\d|Ages?\b"
        r"|\d+\s*[年月日号点]|[一二三四五六七八九十]+[年月日]|世纪|年间|年代"
    ),
    AnswerKind.REASON: re.compile(
        r"\b(?:because|since|so that|due to|owing|in order to|which is why)\b"
        r"|for (?:this|that|which) reason|因|由于|以免|为了",
        re.IGNORECASE,
    ),
    AnswerKind.PLACE: re.compile(
        rf"\b(?:in|at|on|near|from|to|into|of|through|across|between|around|off|via)"
        rf" (?:the )?(?!(?:{_MONTH})\b)[A-Z]|[省市县区州国镇村路街]"
    ),
    AnswerKind.PERSON: re.compile(
        r"(?:^|[a-z,;:—–-] )(?<!\bin )(?<!\bat )(?<!\bon )(?<!\bnear )(?<!\bfrom )(?<!\bto )"
        r"(?<!\bof )(?<!\bthe )(?<!\bsince )(?<!\buntil )"
        rf"(?!(?:{_MONTH}|I)\b)[A-Z][\w'-]+|先生|女士|[长员者师家]"
    ),
}
"""What a sentence has if it holds an answer of the kind."""
_MAYBE = {
    AnswerKind.TIME: re.compile(
        r"\b(?:during|until|since|once|after|before|when|while|daily|weekly|yearly|every|now|today"
        r"|years?|days?|weeks?|months?|hours?|minutes?|seconds?)\b|时期|[前后期当时每]",
        re.IGNORECASE,
    ),
    AnswerKind.REASON: re.compile(
        r"\b(?:so as|thanks to|as a result|therefore|thus|hence|caused?|causes|reasons?"
        r"|result(?:ed|s|ing)?|led to|leads? to|to \w+|as|for|after|so)\b"
        r"|所以|以便|导致|使|故|从而",
        re.IGNORECASE,
    ),
    AnswerKind.PLACE: re.compile(
        r"\b(?:in|at|on|near|from|to|into|under|between|along|around|through|across|within|behind"
        r"|beside|north|south|east|west|off|outside|inside|above|below)"
        r" (?:an?|the|its|their|his|her)\b"
        r"|[在于到从往向位山河岛湖洋海港]"
    ),
    AnswerKind.PERSON: re.compile(
        r"\b(?:by|volunteers?|people|men|women|children|staff|king|queen|president|company"
        r"|society|council|team|group|government|union|members?|\w+ists?|\w+ers|\w+ors)\b"
        r"|[人王帝公司会生民]"
    ),
}
"""What it has at least."""
_WORD = re.compile(r"[^\W\d_][\w'’-]*")


def answer_fit(question: Question, sentence: str) -> float:
    """How far the sentence holds what would answer, in [0, 1]; UNKNOWN_FIT where none can tell.

    Names, numbers and plain words that the question says itself do not count.
    """
    if question.kind is AnswerKind.OTHER:
        return UNKNOWN_FIT
    if question.kind is AnswerKind.QUANTITY:
        return measure_fit(question.text, _without_numbers(question, sentence))
    fresh = _without_words(question, _without_numbers(question, sentence))
    if _SURELY[question.kind].search(fresh):
        return 1.0
    return WEAK_FIT if _MAYBE[question.kind].search(fresh) else 0.0


def _without_numbers(question: Question, sentence: str) -> str:
    for number in question.numbers:
        sentence = sentence.replace(number, " ")
    return sentence


def _without_words(question: Question, sentence: str) -> str:
    """The sentence with the question's own words, and a plain word at its head, in small dots."""
    asked = set(question.terms)

    def hide(match: re.Match[str]) -> str:
        word = match.group()
        opens = match.start() == 0 and is_plain_word(word)
        return "·" if opens or (word[0].isupper() and asked.intersection(terms(word))) else word

    return _WORD.sub(hide, sentence)
