"""What holds for the chunks of every document."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from core.chunking import ChunkPolicy, chunk, estimate_tokens
from core.documents import Block, BlockKind, ExtractedDocument
from core.identifiers import DocumentId
from core.knowledge import Chunk

TEXTS = st.one_of(
    st.text(max_size=60),
    st.lists(
        st.sampled_from(
            (
                *("The server starts.", "It stops at 5 p.m. on Mondays!", "e.g."),
                *("服务器启动，然后停止。", "x" * 90, "汉" * 90, "👩\u200d🚀" * 20, "a\u0301" * 40),
                *("\n", "\n\n", "```", "| a |", "# no"),
            )
        ),
        max_size=25,
    ).map(" ".join),
)
BLOCKS = st.builds(Block, st.sampled_from(BlockKind), TEXTS, st.integers(min_value=-1, max_value=9))
DOCUMENTS = st.builds(ExtractedDocument, st.just(""), st.lists(BLOCKS, max_size=12).map(tuple))
POLICIES = st.builds(
    lambda small, more, most, overlap: ChunkPolicy(
        min_tokens=small,
        target_tokens=small + more,
        max_tokens=small + more + most,
        overlap_tokens=min(overlap, (small + more) // 2),
    ),
    st.integers(0, 30),
    st.integers(16, 60),
    st.integers(0, 30),
    st.integers(0, 30),
)
MEASURES = st.sampled_from([estimate_tokens, len, lambda text: len(text.split())])


def cut(document: ExtractedDocument, policy: ChunkPolicy) -> tuple[str, tuple[Chunk, ...]]:
    return chunk(document, document_id=DocumentId("doc"), policy=policy)


def visible(text: str) -> str:
    return "".join(text.split())


@given(DOCUMENTS, POLICIES)
def test_a_chunk_is_exactly_what_stands_in_its_place(
    document: ExtractedDocument, policy: ChunkPolicy
) -> None:
    text, chunks = cut(document, policy)
    for each in chunks:
        assert each.text == text[each.start : each.end]
        assert each.text == each.text.strip() != ""


@given(DOCUMENTS, POLICIES)
def test_chunks_come_in_order_and_leave_nothing_visible_out(
    document: ExtractedDocument, policy: ChunkPolicy
) -> None:
    text, chunks = cut(document, policy)
    reached = 0
    for number, each in enumerate(chunks):
        assert each.ordinal == number
        assert not text[reached : each.start].strip()
        assert each.end > reached
        assert number == 0 or each.start > chunks[number - 1].start
        reached = each.end
    assert not text[reached:].strip()


@given(DOCUMENTS, POLICIES)
def test_every_block_is_in_the_text_in_its_order(
    document: ExtractedDocument, policy: ChunkPolicy
) -> None:
    text = visible(cut(document, policy)[0]).replace("```", "")
    at = 0
    for block in document.blocks:
        wanted = visible(block.text).replace("```", "")
        at = text.index(wanted, at) + len(wanted)


@given(DOCUMENTS, POLICIES, MEASURES)
def test_no_chunk_measures_more_than_the_policy_allows(
    document: ExtractedDocument, policy: ChunkPolicy, measure: object
) -> None:
    assert callable(measure)
    _, chunks = chunk(document, document_id=DocumentId("doc"), policy=policy, measure=measure)
    assert all(measure(each.text) <= policy.max_tokens for each in chunks)


@given(DOCUMENTS)
def test_characters_are_limited_too(document: ExtractedDocument) -> None:
    policy = ChunkPolicy(max_characters=64)
    assert all(len(each.text) <= 64 for each in cut(document, policy)[1])


@given(DOCUMENTS, POLICIES)
def test_the_same_document_gives_the_same_chunks(
    document: ExtractedDocument, policy: ChunkPolicy
) -> None:
    assert cut(document, policy) == cut(document, policy)


@given(DOCUMENTS, POLICIES)
def test_ids_are_unique_within_a_document(document: ExtractedDocument, policy: ChunkPolicy) -> None:
    ids = [each.id for each in cut(document, policy)[1]]
    assert len(ids) == len(set(ids))


@given(DOCUMENTS, POLICIES)
def test_chunks_overlap_only_with_the_one_before(
    document: ExtractedDocument, policy: ChunkPolicy
) -> None:
    _, chunks = cut(document, policy)
    for before, after in zip(chunks, chunks[2:], strict=False):
        assert after.start >= before.end
