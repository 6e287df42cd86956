"""What a reader of a page would read aloud."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from adapters.documents.html import read_html


def blocks(source: str) -> list[tuple[str, str, int]]:
    return [(b.kind.value, b.text, b.level) for b in read_html(source).blocks]


def texts(source: str) -> list[str]:
    return [block.text for block in read_html(source).blocks]


def test_only_what_is_read_is_kept() -> None:
    page = """
    <html><head><title>Page &amp; title</title><style>p {}</style></head><body>
    <nav><a href="/">Home</a></nav>
    <script>alert("x")</script><noscript>no script</noscript>
    <p hidden>hidden</p><p aria-hidden="true">decoration</p>
    <button>Press</button><svg><text>drawn</text></svg><!-- comment -->
    <p>Read <b>this</b>.</p></body></html>"""
    document = read_html(page)
    assert document.title == "Page & title"
    assert [block.text for block in document.blocks] == ["Read this."]


def test_headings_paragraphs_and_breaks() -> None:
    assert blocks("<h1>One</h1><h3>Three</h3>loose text<p>a<br>b\n  c<div>d</div>e") == [
        ("heading", "One", 1),
        ("heading", "Three", 3),
        ("paragraph", "loose text", 0),
        ("paragraph", "a\nb c", 0),
        ("paragraph", "d", 0),
        ("paragraph", "e", 0),
    ]


def test_entities_and_spaces() -> None:
    assert texts("<p>a&nbsp;&lt;b&gt; &amp;amp; &#20013;&#x6587; &copy;") == ["a <b> &amp; 中文 ©"]


def test_lists_with_numbers_and_nesting() -> None:
    page = "<ul><li>a<ul><li>b</ul><li><p>c</p><p>d</p></ul><ol start=3><li>x<li>y</ol><li>lost"
    assert blocks(page) == [
        ("list_item", "a", 1),
        ("list_item", "b", 2),
        ("list_item", "c", 1),
        ("paragraph", "d", 0),
        ("list_item", "3. x", 1),
        ("list_item", "4. y", 1),
        ("list_item", "lost", 1),
    ]


def test_tables_with_and_without_header() -> None:
    page = """
    <table><thead><tr><th>Key<th>Value</thead>
    <tr><td>port<td><ul><li>50051<li>50052</ul></tr>
    <tr><th>host<td>all</tr></table>
    <table><tr><td>a<td>b<tr><td><table><tr><td>in</td></tr></table><td>out</table>"""
    assert blocks(page) == [
        ("table_row", "Key: port | Value: 50051 50052", 0),
        ("table_row", "Key: host | Value: all", 0),
        ("table_row", "a | b", 0),
        ("table_row", "in | out", 0),
    ]


def test_preformatted_text_is_code() -> None:
    assert blocks("<pre><code>if x &lt; 1:\n    y()<br>z</code></pre>") == [
        ("code", "if x < 1:\n    y()\nz", 0)
    ]


def test_pictures_are_their_description() -> None:
    assert texts('<p>See <img src="x.png" alt="a plan"> here.') == ["See a plan here."]


def test_the_main_part_is_the_page() -> None:
    assert texts("<div>menu</div><main><p>Text</main><footer>legal</footer>") == ["Text"]
    assert texts("<main>a</main><main>b</main>") == ["a", "b"]


def test_without_a_title_the_first_heading_is_one() -> None:
    assert read_html("<h2>Sub</h2><h1>Top</h1>").title == "Top"
    assert read_html("<p>x").title == ""


def test_entities_of_a_bomb_are_not_expanded() -> None:
    levels = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 12))
    page = f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a0 "aaaa">{levels}]><p>&a11; end</p>'
    assert texts(page)[-1] == "&a11; end"


def test_nesting_is_walked_without_recursion() -> None:
    assert texts("<div><span>" * 5_000 + "deep") == ["deep"]


@given(st.text(alphabet=st.sampled_from('<>/abptdlhr1 "=&;\n'), max_size=200))
def test_any_tag_soup_is_read(soup: str) -> None:
    for block in read_html(soup).blocks:
        assert block.text.strip()


TAGS = st.sampled_from(
    "ul ol li table tr td th p pre h1 div b main nav thead caption br select template".split()
)


@given(st.lists(st.tuples(TAGS, st.booleans()), max_size=30))
def test_any_order_of_tags_is_read(tags: list[tuple[str, bool]]) -> None:
    page = "".join(f"</{tag}>" if closes else f"<{tag}>x" for tag, closes in tags)
    for block in read_html(page).blocks:
        assert block.text.strip()
