"""Which language a text is in, roughly: by its script, and by its commonest words.

Good enough to tell whether an embedder was trained for a question; not a language identifier.
"""

from __future__ import annotations

import re
from collections import defaultdict
from enum import Enum


class Script(Enum):
    """Scripts by their ISO 15924 codes."""

    LATIN = "Latn"
    HAN = "Hani"
    KANA = "Kana"
    HANGUL = "Hang"
    CYRILLIC = "Cyrl"
    GREEK = "Grek"
    ARABIC = "Arab"
    HEBREW = "Hebr"
    DEVANAGARI = "Deva"
    THAI = "Thai"


_WORDS_OF_SCRIPT = {
    Script.LATIN: re.compile("[A-Za-zÀ-ÖØ-öø-\u024f\u1e00-\u1eff]+"),
    Script.HAN: re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"),
    Script.KANA: re.compile("[\u3041-\u30ff\u31f0-\u31ff]"),
    Script.HANGUL: re.compile("[\u1100-\u11ff\uac00-\ud7af]"),
    Script.CYRILLIC: re.compile("[\u0400-\u052f]+"),
    Script.GREEK: re.compile("[\u0370-\u03ff\u1f00-\u1fff]+"),
    Script.ARABIC: re.compile("[\u0600-\u06ff\u0750-\u077f]+"),
    Script.HEBREW: re.compile("[\u0590-\u05ff]+"),
    Script.DEVANAGARI: re.compile("[\u0900-\u097f]+"),
    Script.THAI: re.compile("[\u0e00-\u0e7f]"),
}
"""Each match counts as one word; in the scripts without spaces, a character does."""
_LATIN_WORDS = _WORDS_OF_SCRIPT[Script.LATIN]

_CHARACTERS_A_WORD = 2.0
"""In the scripts without spaces, about two characters say what a word says."""
_UNSPACED = {Script.HAN, Script.KANA, Script.HANGUL, Script.THAI}
_EAST_ASIAN = {Script.HAN, Script.KANA, Script.HANGUL}
_EAST_ASIAN_SHARE = 1 / 3
"""From this share of the words on, a text is East Asian: such texts quote Latin names."""
_JAPANESE_SHARE = 0.1
"""Of Kana among Kana and Han; Chinese has none but in quoted names."""

_LANGUAGE_OF_SCRIPT = {
    Script.HANGUL: "ko",
    Script.CYRILLIC: "ru",
    Script.GREEK: "el",
    Script.ARABIC: "ar",
    Script.HEBREW: "he",
    Script.DEVANAGARI: "hi",
    Script.THAI: "th",
}

_COMMON_WORDS = {
    "en": "the of and to in is are was were for on with what how why when where who which does do "
    "did can not this that from by it be has have an at will should would there its their i my",
    "de": "der die das und ist nicht ein eine wie was warum mit für auf von den dem zu im wird "
    "sind werden kann ich wo wer wann welche bei nach auch sich des wenn wir",
    "fr": "le la les des est et une un dans pour que qui sur avec pas comment pourquoi où quel "
    "quelle du au ce cette sont de il elle se quand je nous",
    "es": "el los las una es y en que por para con del cómo qué dónde quién cuál no se su como al "
    "son un la de cuándo si yo",
    "it": "il lo gli una è e di che per con non come perché dove chi quale del della sono nel un "
    "la quando si io",
    "pt": "o os as um uma é e em que por para com não como onde quem qual do da dos das são de "
    "quando se eu",
    "nl": "de het een en is van dat niet met voor hoe wat waarom waar wie op te zijn naar wordt "
    "kan ik wanneer welke",
}
_LANGUAGES_OF_WORD: dict[str, list[str]] = {}
for _language, _words in _COMMON_WORDS.items():
    for _word in _words.split():
        _LANGUAGES_OF_WORD.setdefault(_word, []).append(_language)

LATIN_LANGUAGES = frozenset(_COMMON_WORDS)
"""Languages in Latin script that are told apart; one of any other looks like none of them."""

LONGEST_LOOK = 4_000
"""Characters that are looked at; more would not change the answer."""


def detect_script(text: str) -> Script | None:
    """The script that carries the text, None where it has no letters.

    Latin names within an East Asian text don't change its script.
    """
    looked = text[:LONGEST_LOOK]
    if looked.isascii():
        return Script.LATIN if _LATIN_WORDS.search(looked) else None
    weights = _script_weights(looked)
    total = sum(weights.values())
    if total == 0:
        return None
    east_asian = {script: weights[script] for script in _EAST_ASIAN}
    if sum(east_asian.values()) >= _EAST_ASIAN_SHARE * total:
        return max(east_asian, key=lambda script: (east_asian[script], script.value))
    return max(weights, key=lambda script: (weights[script], script.value))


def detect_language(text: str) -> str:
    """The BCP-47 primary tag of the text's language, "" where it can't be told.

    Of scripts that several languages share the commonest is named: Cyrillic is "ru", Arabic "ar".
    """
    if text.isascii():  # then it is Latin, or has no letters
        return _latin_language(text[:LONGEST_LOOK])
    script = detect_script(text)
    if script is Script.LATIN:
        return _latin_language(text[:LONGEST_LOOK])
    if script in {Script.HAN, Script.KANA}:
        return "ja" if _kana_share(text[:LONGEST_LOOK]) >= _JAPANESE_SHARE else "zh"
    return _LANGUAGE_OF_SCRIPT[script] if script else ""


def understands(languages: frozenset[str], text: str) -> bool:
    """Whether a model that was trained for `languages` (tags; empty means many) can read `text`.

    What can't be told counts as understood where the script does not speak against it: a few
    names in Latin letters are read by a model for any language that is written in them.
    """
    if not languages or detect_script(text) is None:
        return True
    language = detect_language(text)
    return language in languages if language else bool(languages & LATIN_LANGUAGES)


def _script_weights(text: str) -> dict[Script, float]:
    """About how many words of the text are in each script."""
    return {
        script: len(words.findall(text)) / (_CHARACTERS_A_WORD if script in _UNSPACED else 1.0)
        for script, words in _WORDS_OF_SCRIPT.items()
    }


def _kana_share(text: str) -> float:
    kana = len(_WORDS_OF_SCRIPT[Script.KANA].findall(text))
    han = len(_WORDS_OF_SCRIPT[Script.HAN].findall(text))
    return kana / (kana + han)


def _latin_language(text: str) -> str:
    """The language most of whose common words occur, "" where two are level."""
    found: defaultdict[str, int] = defaultdict(int)
    for word in _LATIN_WORDS.findall(text.casefold()):
        if word in _LANGUAGES_OF_WORD:
            for language in _LANGUAGES_OF_WORD[word]:
                found[language] += 1
    leader, most = "", 0
    for language, count in found.items():
        if count >= most:
            leader, most = language if count > most else "", count
    return leader
