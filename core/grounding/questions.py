"""What a question is after: its terms, the kind of answer, the names and numbers in it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from core.text.function_words import FUNCTION_WORDS
from core.text.terms import terms


class AnswerKind(Enum):
    """What would answer: a person, a time, a place, a quantity, a reason; OTHER is anything."""

    PERSON = "person"
    TIME = "time"
    PLACE = "place"
    QUANTITY = "quantity"
    REASON = "reason"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Question:
    """An analysed question. `terms` are its content terms, each once, in order."""

    text: str
    terms: tuple[str, ...]
    kind: AnswerKind
    names: frozenset[str]
    numbers: frozenset[str]
    negated: bool


_KINDS = {
    AnswerKind.REASON: (
        r"\bwhy\b|\bwhat (?:\w+ )?(?:reasons?|causes?|caused)\b|为什么|为何|何故|原因|由于什么"
    ),
    AnswerKind.TIME: (
        r"\bwhen\b|\b(?:what|which) (?:year|day|date|month|century|decade|time|period|era)s?\b"
        r"|哪一?[年天日]|何时|何年|什么时[候间]|几[月号日点]|哪个?(?:世纪|年代|朝代)"
    ),
    AnswerKind.QUANTITY: (
        r"\bhow (?:many|much|long|far|old|large|big|tall|high|deep|wide|fast|quickly|often|heavy"
        r"|soon|thick|hot|cold|strong|close|late|early)\b|\bby how\b"
        r"|\bwhat (?:percent\w*|share|proportion|number|amount|size|length|height|width|depth|area"
        r"|weight|population|price|cost|speed|temperatures?|altitudes?|age|rate|fraction)\b"
        r"|\bwhat (?:do|does|did) .*\b(?:weigh|cost|measure)\b"
        r"|多[少长大高久远深重快]|几[个名位次种层座条本台家场岁倍千百万亿元人]|百分之几"
    ),
    AnswerKind.PERSON: r"\bwho(?:m|se)?\b|谁|哪位|何人|什么人",
    AnswerKind.PLACE: (
        r"\bwhere\b|\b(?:what|which) (?:\w+ )?(?:city|town|country|places?|region|state|village"
        r"|street|location|continent|province|island)\b"
        r"|哪里|哪儿|何处|何地|什么地[方区点]|哪个?(?:城市|国家?|地方|省|县|地区|洲)|位于"
    ),
}
"""How each kind is asked for, in English and Chinese; the phrase that comes first decides."""

_PATTERNS = {kind: re.compile(pattern, re.IGNORECASE) for kind, pattern in _KINDS.items()}
_ASKING_CHINESE = re.compile(
    r"为什么|为何|是什么|什么时[候间]|什么地方|什么人|什么|多少|哪[个些位里儿年天一]?|怎么?样?|如何"
    r"|多[长大高久远深重快]|[谁何几吗呢吧的了是在和有与及之会能要应该]"
)
_ASKING_ENGLISH = """
a an the how many much often what which who whom whose when where why does did do
was were is are i you he she we they me us him his her my your our their it its name type kind
called call happen happened happens can could should would will
"""
_STOP = FUNCTION_WORDS | {term for word in _ASKING_ENGLISH.split() for term in terms(word)}
_QUESTION_WORD = re.compile(r"\b(?:what|which|how|who|whom|whose|when|where|why)\b", re.IGNORECASE)
_SPAN = re.compile(r"[\u2e80-\u9fff\uac00-\ud7af]{1,4}|[^\W_\u2e80-\u9fff\uac00-\ud7af][\w'’-]*")
_NAME = re.compile(r"(?<![\w'])[A-Z][\w'-]*")
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_NEGATION = re.compile(
    r"\b(?:not|never|no|without|except|cannot)\b|n't\b|不|没有|未", re.IGNORECASE
)


def analyse(text: str) -> Question:
    """What the question asks."""
    opening = re.match(r"\W*\w+", text)
    rest = text[opening.end() :] if opening else text
    return Question(
        text,
        content_terms(_ASKING_CHINESE.sub(" ", text)),
        _kind(text),
        frozenset(name.removesuffix("'s") for name in _NAME.findall(rest) if name != "I"),
        frozenset(_NUMBER.findall(text)),
        is_negated(text),
    )


def content_terms(text: str) -> tuple[str, ...]:
    """The terms of a text that say what it is about, each once, in order."""
    return tuple(term for term in dict.fromkeys(terms(text)) if term not in _STOP)


def content_spans(text: str) -> tuple[tuple[int, int], ...]:
    """Where the question's content words stand, and its runs of Han characters."""
    masked = _ASKING_CHINESE.sub(lambda match: " " * len(match.group()), text)
    return tuple(match.span() for match in _SPAN.finditer(masked) if content_terms(match.group()))


def is_negated(text: str) -> bool:
    """Whether the text denies something."""
    return _NEGATION.search(text) is not None


def _kind(text: str) -> AnswerKind:
    """The kind that the first question word asks for; one in a subordinate clause counts not."""
    opener = _QUESTION_WORD.search(text)
    limit = opener.start() if opener else len(text)
    found = [
        (match.start(), kind)
        for kind, pattern in _PATTERNS.items()
        if (match := pattern.search(text)) and match.start() <= limit
    ]
    return min(found, key=lambda pair: pair[0])[1] if found else AnswerKind.OTHER
