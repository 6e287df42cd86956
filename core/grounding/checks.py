"""Whether one sentence rests on the sources, by the tier of the deployment that wrote it.

Behind EXTRACTIVE and TINY a sentence passes when it stands in the source, word for word. Behind
SMALL and STRONG it passes when it cites a passage, and every number, identifier, name and
quotation in it occurs there. That does not see what is said *of* them: two names that change
places, or an event under another one's year, pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from core.catalog import Tier
from core.grounding.claims import ClaimKind, missing
from core.grounding.refusals import is_refusal
from core.text.sentences import Sentence, SentenceKind

if TYPE_CHECKING:
    from core.grounding.citations import SourcePlace
    from core.grounding.sources import Sources


class Fault(Enum):
    """Why a sentence, or a whole answer, does not pass."""

    UNCITED = "uncited"
    NOT_VERBATIM = "not_verbatim"
    NUMBER_MISSING = "number_missing"
    IDENTIFIER_MISSING = "identifier_missing"
    NAME_MISSING = "name_missing"
    QUOTATION_MISSING = "quotation_missing"
    EMPTY = "empty"


@dataclass(frozen=True, slots=True)
class Finding:
    """What the check of one sentence came to.

    `numbers` are the citations that may be shown with it; `places` where it stands word for
    word; `repaired` when its citations are not those that the model gave; `fault` None when it
    passes; `detail` what was missing.
    """

    numbers: tuple[int, ...] = ()
    places: tuple[SourcePlace, ...] = ()
    repaired: bool = False
    refusal: bool = False
    fault: Fault | None = None
    detail: str = ""


_FAULTS = {
    ClaimKind.NUMBER: Fault.NUMBER_MISSING,
    ClaimKind.IDENTIFIER: Fault.IDENTIFIER_MISSING,
    ClaimKind.NAME: Fault.NAME_MISSING,
    ClaimKind.QUOTATION: Fault.QUOTATION_MISSING,
}


def check_sentence(
    sentence: Sentence, cited: tuple[int, ...], sources: Sources, tier: Tier
) -> Finding:
    """Check a sentence that cites these passages. `cited` holds known numbers only."""
    if is_refusal(sentence.text):
        return Finding(refusal=True, repaired=bool(cited))
    if places := sources.places_of(sentence.text, cited):
        held = tuple(place.number for place in places)
        return Finding(held, places, repaired=held != cited)
    if place := sources.place_anywhere(sentence.text):
        return Finding((place.number,), (place,), repaired=True)
    if tier <= Tier.TINY:
        return Finding(fault=Fault.NOT_VERBATIM, detail="stands in no source")
    return _check_claims(sentence, cited, sources)


def _check_claims(sentence: Sentence, cited: tuple[int, ...], sources: Sources) -> Finding:
    if not cited and not _may_go_uncited(sentence):
        return Finding(fault=Fault.UNCITED, detail="cites no passage")
    claim = missing(sentence.text, sources.numbered(cited) if cited else sources.items)
    if claim is not None:
        return Finding(fault=_FAULTS[claim.kind], detail=f"{claim.kind.value} {claim.text!r}")
    return Finding(cited)


def _may_go_uncited(sentence: Sentence) -> bool:
    """A heading, or words that lead to a list, say nothing without what follows them."""
    return sentence.kind is SentenceKind.HEADING or sentence.text.endswith((":", "："))
