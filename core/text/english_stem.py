"""The stem of an English word, after the algorithm that its author calls English, or Porter 2.

M. F. Porter, "The English (Porter2) stemming algorithm", Snowball 2001. Words that share a
stem nearly always share a meaning (`expire`, `expired`, `expiring`); the stem itself need not
be a word. Words of other languages lose at most an ending that looks English.
"""

from __future__ import annotations

import re
from functools import lru_cache

_VOWELS = "aeiouy"
_DOUBLES = ("bb", "dd", "ff", "gg", "mm", "nn", "pp", "rr", "tt")

_WHOLE = {
    "skis": "ski",
    "skies": "sky",
    "idly": "idl",
    "gently": "gentl",
    "ugly": "ugli",
    "early": "earli",
    "only": "onli",
    "singly": "singl",
    "dying": "die",
    "lying": "lie",
    "tying": "tie",
}
"""Words whose stem the rules would get wrong."""

_UNTOUCHED = frozenset("sky news howe atlas cosmos bias andes".split())
_UNTOUCHED_PAST_PLURAL = frozenset(
    "inning outing canning herring earring proceed exceed succeed".split()
)

_REGION = re.compile(r"[aeiouy][^aeiouy]")
_REGION_PREFIX = re.compile(r"gener|commun|arsen|past|univers|later|emerg|organ|inter")

_STEP_2 = {
    "ization": "ize",
    "ational": "ate",
    "ousness": "ous",
    "iveness": "ive",
    "fulness": "ful",
    "tional": "tion",
    "lessli": "less",
    "biliti": "ble",
    "entli": "ent",
    "ation": "ate",
    "alism": "al",
    "aliti": "al",
    "fulli": "ful",
    "ousli": "ous",
    "iviti": "ive",
    "enci": "ence",
    "anci": "ance",
    "abli": "able",
    "izer": "ize",
    "ator": "ate",
    "alli": "al",
    "bli": "ble",
    "ogi": "og",
    "li": "",
}
_STEP_3 = {
    "ational": "ate",
    "tional": "tion",
    "alize": "al",
    "icate": "ic",
    "iciti": "ic",
    "ative": "",
    "ical": "ic",
    "ness": "",
    "ful": "",
}
_STEP_4 = ("ement ance ence able ible ment ant ent ism ate iti ous ive ize ion al er ic").split()


@lru_cache(maxsize=20_000)
def english_stem(word: str) -> str:
    """The stem of `word`, which is in lower case and of the letters a-z alone."""
    if len(word) <= 2 or word in _UNTOUCHED:
        return word
    if word in _WHOLE:
        return _WHOLE[word]
    word = _mark_consonant_y(word)
    r1, r2 = _regions(word)
    word = _strip_plural(word)
    if word in _UNTOUCHED_PAST_PLURAL:
        return word
    word = _strip_past(word, r1)
    if len(word) > 2 and word[-1] in "yY" and word[-2] not in _VOWELS:
        word = word[:-1] + "i"
    word = _shorten_derivation(word, r1)
    word = _shorten_adjective(word, r1, r2)
    word = _strip_suffix(word, r2)
    return _strip_last(word, r1, r2).lower()


def _mark_consonant_y(word: str) -> str:
    """A `y` that stands for a consonant (first, or after a vowel) as `Y`."""
    return re.sub(r"(?:^|(?<=[aeiouy]))y", "Y", word) if "y" in word else word


def _regions(word: str) -> tuple[int, int]:
    """Where R1 and R2 begin: behind the first, and the second, vowel with a consonant."""
    prefix = _REGION_PREFIX.match(word)
    r1 = prefix.end() if prefix else _behind_vowel_consonant(word, 0)
    return r1, _behind_vowel_consonant(word, r1)


def _behind_vowel_consonant(word: str, start: int) -> int:
    found = _REGION.search(word, start)
    return found.end() if found else len(word)


def _strip_plural(word: str) -> str:
    """Step 1a: `sses`, `ied`, `ies`, `s`."""
    if word.endswith("sses"):
        return word[:-2]
    if word.endswith(("ied", "ies")):
        return word[:-2] if len(word) > 4 else word[:-1]
    if word.endswith(("us", "ss")) or not word.endswith("s"):
        return word
    return word[:-1] if _has_vowel(word[:-2]) else word


def _strip_past(word: str, r1: int) -> str:
    """Step 1b: `eed`, `ed`, `ing` and their adverbs."""
    for suffix in ("eedly", "eed"):
        if word.endswith(suffix):
            return word[: -len(suffix)] + "ee" if len(word) - len(suffix) >= r1 else word
    for suffix in ("ingly", "edly", "ing", "ed"):
        if word.endswith(suffix):
            rest = word[: -len(suffix)]
            return _mend_ending(rest, r1) if _has_vowel(rest) else word
    return word


def _mend_ending(word: str, r1: int) -> str:
    """What a past form was made of: `luxuriat` had an e, `hopp` one p, `hop` is short."""
    if word.endswith(("at", "bl", "iz")):
        return word + "e"
    if word.endswith(_DOUBLES):
        return word if len(word) == 3 and word[0] in "aeo" else word[:-1]
    return word + "e" if r1 >= len(word) and _ends_in_short_syllable(word) else word


def _shorten_derivation(word: str, r1: int) -> str:
    """Step 2: `ization` to `ize` and its like, within R1."""
    for suffix, replacement in _STEP_2.items():
        if not word.endswith(suffix):
            continue
        rest = word[: -len(suffix)]
        fits = len(rest) >= r1
        if suffix == "ogi":
            fits = fits and rest.endswith("l")
        elif suffix == "li":
            fits = fits and rest.endswith(tuple("cdeghkmnrt"))
        return rest + replacement if fits else word
    return word


def _shorten_adjective(word: str, r1: int, r2: int) -> str:
    """Step 3: `alize`, `icate`, `ful`, `ness` and their like, within R1."""
    for suffix, replacement in _STEP_3.items():
        if word.endswith(suffix):
            rest = word[: -len(suffix)]
            region = r2 if suffix == "ative" else r1
            return rest + replacement if len(rest) >= region else word
    return word


def _strip_suffix(word: str, r2: int) -> str:
    """Step 4: the bare suffixes, within R2."""
    for suffix in _STEP_4:
        if word.endswith(suffix):
            rest = word[: -len(suffix)]
            fits = len(rest) >= r2 and (suffix != "ion" or rest.endswith(("s", "t")))
            return rest if fits else word
    return word


def _strip_last(word: str, r1: int, r2: int) -> str:
    """Step 5: a silent e, and the second of two l."""
    last = len(word) - 1
    if word.endswith("e"):
        rest = word[:-1]
        silent = last >= r2 or (last >= r1 and not _ends_in_short_syllable(rest))
        return rest if silent else word
    return word[:-1] if word.endswith("ll") and last >= r2 else word


def _has_vowel(part: str) -> bool:
    return any(letter in _VOWELS for letter in part)


def _ends_in_short_syllable(word: str) -> bool:
    """A vowel between consonants at the end (not before w, x, Y), or a vowel that begins it."""
    if word == "past":
        return True
    if len(word) == 2:
        return word[0] in _VOWELS and word[1] not in _VOWELS
    return (
        len(word) > 2
        and word[-3] not in _VOWELS
        and word[-2] in _VOWELS
        and word[-1] not in _VOWELS + "wxY"
    )
