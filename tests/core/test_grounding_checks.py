"""What a sentence may say behind which tier, and what the checks can't see."""

from __future__ import annotations

import pytest

from core.catalog import Tier
from core.grounding.checks import Fault, Finding, check_sentence
from core.grounding.claims import ClaimKind, claims
from core.grounding.refusals import is_refusal, no_documents_text, refusal_text
from core.grounding.sources import Sources
from core.identifiers import ChunkId, CollectionName, DocumentId
from core.knowledge import Chunk, Passage
from core.text.sentences import sentences

MERGER = (
    "The Orla Works merged with Brandt & Sons in 1904, and Carl Brandt led them until 1911.\n"
    'He called it "the best of bad choices". The plant used 1,230 tons of coal a year.\n\n'
    "Run `orla status --all` to see *what is left*."
)


def sources(*texts: str) -> Sources:
    return Sources.of(
        [
            Passage(
                Chunk(ChunkId(f"c{i}"), DocumentId("d"), i, text, 0, len(text)),
                CollectionName("c"),
                "Orla",
                "file:x",
                1.0,
            )
            for i, text in enumerate(texts)
        ]
    )


def check(text: str, cited: tuple[int, ...] = (1,), tier: Tier = Tier.STRONG) -> Finding:
    (sentence,) = sentences(text)
    return check_sentence(sentence, cited, sources(MERGER, "Nothing here."), tier)


@pytest.mark.parametrize(
    "text",
    [
        'He called it "the best of bad choices".',
        "He called it “the best of bad choices”.",
        "He  called  it “the best of **bad** choices”",
        "Run orla status --all to see what is left.",
        "The plant used 1,230 tons of coal a year.",
    ],
)
def test_white_space_quotes_and_markdown_marks_do_not_make_another_sentence(text: str) -> None:
    finding = check(text, tier=Tier.TINY)
    assert finding.fault is None
    assert [place.number for place in finding.places] == [1]


@pytest.mark.parametrize(
    "text",
    [
        "Carl Brandt led them until 1911.",  # a part of a sentence can say the opposite of it
        "The plant used 1,230 tons of coal.",
        "the plant used 1,230 tons of coal a year.",
        "The plant used coal.",
    ],
)
def test_behind_a_tiny_model_only_whole_sentences_pass(text: str) -> None:
    assert check(text, tier=Tier.TINY).fault is Fault.NOT_VERBATIM


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("The Orla Works used 1230 tons of coal.", None),
        ("Coal was used, some 1,231 tons of it.", Fault.NUMBER_MISSING),
        ("Two works merged then.", Fault.NUMBER_MISSING),
        ("Carl Brandt led the works.", None),
        ("Later Karl Meyer led the works.", Fault.NAME_MISSING),
        ("Meyer led the works.", Fault.NAME_MISSING),
        ("Merging the works took until 1904.", None),
        ("Use `orla status --all` for it.", None),
        ("Use `orla stop` for it.", Fault.IDENTIFIER_MISSING),
        ("Set max_tons first.", Fault.IDENTIFIER_MISSING),
        ('He spoke of "the worst of choices".', Fault.QUOTATION_MISSING),
        ("However, they were led by him.", None),
    ],
)
def test_behind_a_strong_model_what_can_be_looked_up_must_be_there(
    text: str, fault: Fault | None
) -> None:
    assert check(text).fault is fault


def test_a_claim_without_a_citation_fails_and_a_heading_or_a_lead_in_does_not() -> None:
    assert check("They merged.", ()).fault is Fault.UNCITED
    assert check("## The merger", ()).fault is None
    assert check("These are the steps:", ()).fault is None
    assert check("These are Meyer's steps:", ()).fault is Fault.NAME_MISSING


def test_overlap_does_not_see_what_is_said_of_the_names() -> None:
    """The limit of looking words up: swapped roles pass, but not behind a tiny model."""
    swapped = "Brandt & Sons led Carl Brandt until 1904, and the Orla Works merged in 1911."
    assert check(swapped).fault is None
    assert check(swapped, tier=Tier.TINY).fault is Fault.NOT_VERBATIM


def test_a_sentence_that_spans_two_of_the_source_is_not_a_quotation_of_either() -> None:
    joined = sources("One is red. Two is blue. Three is green.")
    assert joined.place_anywhere("One is red. Two is blue.") is not None
    assert joined.place_anywhere("One is red. Three is green.") is None


def test_claims_are_found_in_chinese_too() -> None:
    found = {
        (claim.kind, claim.text) for claim in claims("《云岭志》说E1107发生了二十三次，约3.5秒。")
    }
    assert (ClaimKind.QUOTATION, "云岭志") in found
    assert (ClaimKind.IDENTIFIER, "E1107") in found
    assert (ClaimKind.NUMBER, "二十三") in found
    assert (ClaimKind.NUMBER, "3.5") in found


def test_refusals_are_plain_words_in_the_language_of_the_question() -> None:
    assert refusal_text("zh-Hans") != refusal_text("en") == refusal_text("fi")
    assert is_refusal(refusal_text("en"))
    assert is_refusal(refusal_text("zh").rstrip("。"))
    assert is_refusal(no_documents_text(""))
    assert not is_refusal("The documents do not answer every question.")
