"""The plain words in which a question is refused that the documents do not answer."""

from __future__ import annotations

from core.text.normal import verbatim_key

_NOT_IN_DOCUMENTS = {
    "en": "The documents do not answer this question.",
    "zh": "文档中没有这个问题的答案。",
}
_NO_DOCUMENTS = {
    "en": "I can only quote documents, and none were given that I could answer from.",
    "zh": "我只能引用文档作答，而这里没有可供引用的文档。",
}
_KEYS = frozenset(
    verbatim_key(text).rstrip(".")
    for texts in (_NOT_IN_DOCUMENTS, _NO_DOCUMENTS)
    for text in texts.values()
)


def refusal_text(language: str) -> str:
    """What is said when the documents do not hold the answer.

    `language` is a BCP-47 tag; languages that we have no words in are answered in English.
    """
    return _in_language(_NOT_IN_DOCUMENTS, language)


def no_documents_text(language: str) -> str:
    """What the extractive model says when it is given nothing to quote from."""
    return _in_language(_NO_DOCUMENTS, language)


def is_refusal(sentence: str) -> bool:
    """Whether a sentence is one of these refusals, word for word."""
    return verbatim_key(sentence).rstrip(".") in _KEYS


def _in_language(texts: dict[str, str], language: str) -> str:
    primary = language.lower().split("-")[0]
    return texts.get(primary, texts["en"])
