"""What is left of Markdown when its marks are gone."""

from __future__ import annotations

import pytest

from adapters.documents.markdown import read_markdown
from core.documents import Block, BlockKind


def blocks(source: str) -> list[tuple[str, str, int]]:
    return [(b.kind.value, b.text, b.level) for b in read_markdown(source).blocks]


def texts(source: str) -> list[str]:
    return [block.text for block in read_markdown(source).blocks]


def test_headings_of_both_kinds() -> None:
    assert blocks("# One\n\nTwo\n---\n\n### Three ###\n") == [
        ("heading", "One", 1),
        ("heading", "Two", 2),
        ("heading", "Three", 3),
    ]


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("a [link](http://example.org 'title') here", "a link here"),
        ("a [link][ref] here\n\n[ref]: http://example.org", "a link here"),
        ("<https://example.org>", "https://example.org"),
        ("![a picture](x.png) of it", "a picture of it"),
        ("run `ls *.md` **now**, _please_", "run ls *.md now, please"),
        ("keep snake_case_names and 2*3*4", "keep snake_case_names and 234"),
        (r"5 \* 3 &lt; 20 &amp; more", "5 * 3 < 20 & more"),
        ("press <kbd>Ctrl</kbd>, ~~never~~", "press Ctrl, never"),
        ("one\ntwo", "one two"),
        ("one  \ntwo", "one\ntwo"),
        ("one<br/>two", "one\ntwo"),
        ("服务器\n启动", "服务器启动"),
        ("# **Bold** `code`", "Bold code"),
    ],
)
def test_inline_marks_become_readable_text(source: str, text: str) -> None:
    assert texts(source) == [text]


def test_code_keeps_its_characters() -> None:
    source = "```sh\nls  -l | grep '*'\n\n  # comment\n```\n\n    indented\n"
    assert blocks(source) == [
        ("code", "ls  -l | grep '*'\n\n  # comment\n", 0),
        ("code", "indented\n", 0),
    ]


def test_lists_keep_numbers_and_nesting() -> None:
    source = "3. three\n4. four\n   - inner\n\n     more of inner\n\n* star\n* [ ] task\n"
    assert blocks(source) == [
        ("list_item", "3. three", 1),
        ("list_item", "4. four", 1),
        ("list_item", "inner", 2),
        ("paragraph", "more of inner", 0),
        ("list_item", "star", 1),
        ("list_item", "[ ] task", 1),
    ]


def test_each_row_of_a_table_says_what_its_cells_are() -> None:
    source = "| Port | Use |\n| --- | :-: |\n| 50051 | `gRPC` |\n| 8080 | |\n"
    assert blocks(source) == [
        ("table_row", "Port: 50051 | Use: gRPC", 0),
        ("table_row", "Port: 8080", 0),
    ]


def test_a_table_without_rows_is_its_header() -> None:
    assert texts("| A | B |\n| - | - |\n\nafter") == ["A | B", "after"]


def test_html_within_is_read_as_html() -> None:
    source = "<div>\n<script>x</script><p>in <b>html</b></p>\n</div>\n\n<!-- not said -->\n\nout"
    assert texts(source) == ["in html", "out"]


@pytest.mark.parametrize(
    "matter",
    [
        "---\ntitle: The title\nweight: 3\n---\n",
        '+++\ntitle = "The title"\n+++\n',
        "---\n# a comment\nlayout: page\ntitle: 'The title'\n---\n",
    ],
)
def test_front_matter_gives_the_title_and_is_no_text(matter: str) -> None:
    document = read_markdown(matter + "# Heading\n")
    assert document.title == "The title"
    assert document.blocks == (Block(BlockKind.HEADING, "Heading", 1),)


def test_a_rule_at_the_top_is_no_front_matter() -> None:
    assert texts("---\n\nText between rules.\n\n---\n\nMore.\n") == ["Text between rules.", "More."]


def test_without_front_matter_the_first_heading_is_the_title() -> None:
    assert read_markdown("## Sub\n\n# The *title*\n").title == "The title"
    assert read_markdown("Only text.").title == ""


def test_nesting_without_end_is_survived() -> None:
    assert read_markdown(">" * 100_000 + " deep").blocks is not None
    assert read_markdown("- " * 5_000 + "deep").blocks is not None


def test_a_paragraph_of_many_lines_keeps_them_all() -> None:
    lines = [f"Line {number} with **bold** and a [link](x)." for number in range(5_000)]
    (text,) = texts("\n".join(lines))
    assert text == " ".join(f"Line {number} with bold and a link." for number in range(5_000))
