"""Where documents are cut."""

from __future__ import annotations

import itertools

import pytest
from pydantic import ValidationError

from core.chunking import ChunkPolicy, chunk, estimate_tokens
from core.documents import Block, BlockKind, ExtractedDocument
from core.identifiers import DocumentId
from core.knowledge import Chunk

SENTENCE = "The server reads one more setting and then goes on to number {}."
DOCUMENT = DocumentId("doc-1")


def heading(text: str, level: int = 1) -> Block:
    return Block(BlockKind.HEADING, text, level)


def paragraph(*numbers: int) -> Block:
    return Block(BlockKind.PARAGRAPH, " ".join(SENTENCE.format(number) for number in numbers))


def cut(*blocks: Block, policy: ChunkPolicy | None = None) -> tuple[Chunk, ...]:
    document = ExtractedDocument("", blocks)
    return chunk(document, document_id=DOCUMENT, policy=policy)[1]


def rows(count: int) -> list[Block]:
    return [Block(BlockKind.TABLE_ROW, f"Key: {n} | Value: the value of {n}") for n in range(count)]


def test_nothing_gives_no_chunk() -> None:
    assert chunk(ExtractedDocument("", ()), document_id=DOCUMENT) == ("", ())
    assert cut(Block(BlockKind.PARAGRAPH, " \n ")) == ()


def test_the_text_is_markdown_again() -> None:
    blocks = (
        heading("Guide"),
        Block(BlockKind.PARAGRAPH, "Do this:"),
        Block(BlockKind.LIST_ITEM, "1. first", 1),
        Block(BlockKind.LIST_ITEM, "inner", 2),
        Block(BlockKind.CODE, "ls -l\n"),
        Block(BlockKind.TABLE_ROW, "Port: 1"),
        Block(BlockKind.TABLE_ROW, "Port: 2"),
    )
    text, chunks = chunk(ExtractedDocument("", blocks), document_id=DOCUMENT)
    assert text == (
        "# Guide\n\nDo this:\n\n1. first\n  - inner\n\n```\nls -l\n```\n\n| Port: 1 |\n| Port: 2 |"
    )
    assert [each.text for each in chunks] == [text]


def test_sections_are_chunks_and_know_their_headings() -> None:
    chunks = cut(
        heading("Guide"),
        paragraph(*range(6)),
        heading("Ports", 2),
        paragraph(*range(6)),
        heading("Keys", 2),
        paragraph(*range(6)),
    )
    assert [each.heading for each in chunks] == [("Guide",), ("Guide", "Ports"), ("Guide", "Keys")]
    assert chunks[1].text.startswith("## Ports\n\nThe server")


def test_a_heading_without_text_of_its_own_belongs_to_what_follows() -> None:
    (only,) = cut(heading("Guide"), heading("Ports", 2), paragraph(*range(8)))
    assert only.heading == ("Guide", "Ports")


def test_small_sections_are_put_together_under_what_they_share() -> None:
    chunks = cut(
        heading("Guide"),
        *(part for n in range(8) for part in (heading(f"Part {n}", 2), paragraph(n))),
    )
    assert len(chunks) == 2
    assert {each.heading for each in chunks} == {("Guide",)}
    assert all(60 <= estimate_tokens(each.text) <= 180 for each in chunks)


def test_a_small_end_joins_the_section_before_it() -> None:
    chunks = cut(heading("A"), paragraph(*range(8)), heading("See also"), paragraph(1))
    assert len(chunks) == 1


def test_a_split_section_overlaps_by_whole_sentences() -> None:
    chunks = cut(heading("A"), paragraph(*range(40)))
    assert len(chunks) > 2
    for before, after in itertools.pairwise(chunks):
        repeated = before.text[after.start - before.start :]
        assert repeated in before.text
        assert repeated.startswith("The server")
        assert repeated.endswith(".")
        assert estimate_tokens(repeated) <= 30
        assert after.text.startswith(repeated + " The server")


def test_no_overlap_when_none_is_wanted() -> None:
    chunks = cut(paragraph(*range(40)), policy=ChunkPolicy(overlap_tokens=0))
    assert all(b.end <= a.start for b, a in itertools.pairwise(chunks))


def test_code_that_fits_is_whole_and_its_heading_stays_with_it() -> None:
    code = Block(BlockKind.CODE, "\n".join(f"step_{n} = run({n})" for n in range(16)))
    chunks = cut(paragraph(*range(9)), code, paragraph(*range(9)))
    (holder,) = [each for each in chunks if "```" in each.text]
    assert code.text in holder.text
    bound = cut(paragraph(*range(12)), heading("Steps"), code, paragraph(*range(9)))
    (holder,) = [each for each in bound if "```" in each.text]
    assert holder.text.startswith("# Steps\n\n```\nstep_0")


def test_code_that_does_not_fit_is_cut_between_lines_and_fenced_again() -> None:
    lines = [f"step_{n} = run({n}, retries={n})" for n in range(100)]
    chunks = cut(Block(BlockKind.CODE, "\n".join(lines)))
    assert len(chunks) > 3
    found = []
    for each in chunks:
        assert each.text.startswith("```\n")
        assert each.text.endswith("\n```")
        found += each.text.split("\n")[1:-1]
    assert found == lines


def test_table_rows_are_never_parted() -> None:
    chunks = cut(heading("Table"), *rows(60))
    found = [line for each in chunks for line in each.text.split("\n") if line.startswith("|")]
    assert found == [f"| {row.text} |" for row in rows(60)]
    assert len(chunks) > 2


def test_a_last_chunk_is_not_a_crumb() -> None:
    for sentences in range(13, 40):
        sizes = [estimate_tokens(each.text) for each in cut(paragraph(*range(sentences)))]
        assert min(sizes) >= 60


def test_chinese_is_cut_at_its_own_full_stops() -> None:
    text = "".join(f"服务器读取第{n}个设置，然后继续运行。" for n in range(60))
    chunks = cut(Block(BlockKind.PARAGRAPH, text))
    assert len(chunks) > 4
    assert all(each.text.startswith("服务器") and each.text.endswith("。") for each in chunks)


def test_no_accent_and_no_emoji_is_parted() -> None:
    for unit in ("e\u0301", "👩\u200d🚀", "👍\U0001f3fd"):
        chunks = cut(Block(BlockKind.PARAGRAPH, unit * 500))
        assert len(chunks) > 1
        assert all(each.text == unit * (len(each.text) // len(unit)) for each in chunks)


def test_ids_last_as_long_as_their_content() -> None:
    before = [heading("A"), paragraph(*range(9)), heading("B"), paragraph(*range(9))]
    inserted = [heading("New"), paragraph(*range(50, 60)), *before]
    old, new = cut(*before), cut(*inserted)
    assert [each.id for each in new[1:]] == [each.id for each in old]
    assert new[1].start != old[0].start
    other = chunk(ExtractedDocument("", tuple(before)), document_id=DocumentId("doc-2"))[1]
    assert {each.id for each in other}.isdisjoint({each.id for each in old})


def test_appending_changes_only_the_end() -> None:
    old, new = cut(paragraph(*range(100))), cut(paragraph(*range(103)))
    assert [each.id for each in new[: len(old) - 2]] == [each.id for each in old[:-2]]


def test_equal_chunks_have_different_ids_in_a_fixed_order() -> None:
    same = (heading("A"), paragraph(*range(9)))
    one, two = cut(*same, *same)
    assert one.text == two.text
    assert one.id != two.id
    assert cut(*same)[0].id == one.id


def test_the_language_is_what_the_caller_finds() -> None:
    document = ExtractedDocument("", (paragraph(1),))
    _, (only,) = chunk(document, document_id=DOCUMENT, language_of=lambda text: text[:2].lower())
    assert only.language == "th"


def test_long_headings_are_cut_in_the_path_alone() -> None:
    (first, *_) = cut(heading("x" * 1000), paragraph(*range(9)))
    assert first.heading == ("x" * 160,)


@pytest.mark.parametrize(
    "sizes",
    [
        {"min_tokens": 200, "target_tokens": 180},
        {"target_tokens": 300, "max_tokens": 240},
        {"overlap_tokens": 100},
        {"max_tokens": 8},
    ],
)
def test_a_policy_that_cannot_be_kept_is_refused(sizes: dict[str, int]) -> None:
    with pytest.raises(ValidationError):
        ChunkPolicy(**sizes)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", 0),
        ("the server", 2),
        ("internationalization", 4),
        ("服务器启动。", 6),
        ("port 50051!", 5),
        ("a_b", 3),
        ("東京タワー", 5),
    ],
)
def test_tokens_are_estimated(text: str, tokens: int) -> None:
    assert estimate_tokens(text) == tokens


@pytest.mark.parametrize(
    "unit",
    ["x", "汉", "word ", "A sentence of text. ", "Mr. A. ", "a\n", "!", "a. [", "e\u0301", "，"],
)
def test_work_grows_with_the_length_of_a_line_and_no_faster(unit: str) -> None:
    measured = 0

    def counting(text: str) -> int:
        nonlocal measured
        measured += len(text)
        return estimate_tokens(text)

    line = unit * (160_000 // len(unit))
    document = ExtractedDocument("", (Block(BlockKind.PARAGRAPH, line),))
    _, chunks = chunk(document, document_id=DOCUMENT, measure=counting)
    assert chunks[-1].end == len(line.rstrip())
    assert measured < 8 * len(line)


def test_a_hundred_thousand_headings_or_lines_are_no_trouble() -> None:
    headings = cut(*(heading(f"Heading {n}", n % 8) for n in range(100_000)))
    assert headings[-1].text.endswith("Heading 99999")
    lines = "\n".join(f"line {n} of a log" for n in range(100_000))
    assert cut(Block(BlockKind.PARAGRAPH, lines))[-1].text.endswith("line 99999 of a log")
