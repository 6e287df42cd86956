"""An extractive answer as the text that a model would stream: quotations with their markers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from core.text.sentences import SentenceKind

if TYPE_CHECKING:
    from core.grounding.extraction import Quotation

_LEANING = re.compile(
    r"(?:It|They|He|She|This|These|Those|Its|Their|His|Her|Such|Both|That|Then|There|Here|So|But"
    r"|However|Therefore|Otherwise|Instead|Also|Another|One of them|The (?:latter|former))\b"
    r"|[它他她其这那此该]"
)
_LEADING = re.compile(r"\b(?:following|below)\b|如下|以下", re.IGNORECASE)
_ENDS = (".", "!", "?", "。", "！", "？", "；", ":", "：")


def leans_on_predecessor(sentence: str) -> bool:
    """Whether the sentence begins with a word that points at the one before it."""
    return _LEANING.match(sentence) is not None


def leads_on(sentence: str) -> bool:
    """Whether the sentence says little without the list or the code that stands behind it."""
    return sentence.endswith((":", "：")) or _LEADING.search(sentence) is not None


def spoken(quotations: Sequence[Quotation]) -> Iterator[str]:
    """The answer in pieces, one a quotation, each with its marker.

    Neighbours in the source follow each other in one paragraph, list items in a list; what
    does not stand together is a paragraph of its own.
    """
    last: Quotation | None = None
    for quotation in quotations:
        yield f"{_gap(last, quotation)}{quotation.text} [{quotation.number}]"
        last = quotation


def _gap(last: Quotation | None, quotation: Quotation) -> str:
    item = "- " if quotation.kind is SentenceKind.LIST_ITEM else ""
    if last is None:
        return item
    if item:
        return f"\n{item}" if quotation.follows else f"\n\n{item}"
    return " " if quotation.follows and last.text.endswith(_ENDS) else "\n\n"
