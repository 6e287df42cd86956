"""Plain text, PDF, and what all kinds have in common."""

from __future__ import annotations

import pytest

from adapters.documents.kinds import DocumentKind, Recognised
from adapters.documents.parsing import parse
from core.documents import UnreadableDocument, UnreadableReason
from fakes.pdf_files import circular_pdf, encrypted_pdf, pdf_of, scanned_pdf

TEXT = Recognised(DocumentKind.TEXT)
HTML = Recognised(DocumentKind.HTML)
PDF = Recognised(DocumentKind.PDF)


def texts(data: bytes, recognised: Recognised = TEXT) -> list[str]:
    document = parse(data, recognised, text_limit=1_000_000)
    return [block.text for block in document.blocks]


def reason(data: bytes, recognised: Recognised = TEXT) -> UnreadableReason:
    with pytest.raises(UnreadableDocument) as caught:
        parse(data, recognised, text_limit=1_000_000)
    return caught.value.reason


def test_blank_lines_part_paragraphs() -> None:
    assert texts(b"one\ntwo\n\n \t\nthree\r\n\r\nfour\rfive\fsix") == [
        "one\ntwo",
        "three",
        "four\nfive",
        "six",
    ]


def test_lines_that_a_margin_broke_are_one_again() -> None:
    wrapped = (
        b"The server reads its settings when it starts, and then\n"
        b"opens its ports one after the other, until everything\n"
        b"answers."
    )
    assert texts(wrapped) == [wrapped.decode().replace("\n", " ")]


@pytest.mark.parametrize(
    "kept",
    [
        "Roses are red\nViolets are blue\nSugar is sweet",
        "Things that are needed before the server can start at all:\n- a port\n- a key",
        "A sentence that is long enough to have been wrapped by a margin.\nNot\nthis.",
        "2026-01-01 12:00:00 INFO server started, listening on 50051\n    at line 3 of main",
    ],
)
def test_lines_that_mean_something_stay_lines(kept: str) -> None:
    assert texts(kept.encode()) == [kept]


def test_what_nobody_sees_is_gone() -> None:
    hidden = "pass\u200bword\u202e safe\xad \x1b[31mred\x1b[0m \U000e0041\ufeffend\xa0here"
    assert texts(hidden.encode()) == ["password safe red end here"]


def test_accents_are_composed_and_joined_emoji_stay() -> None:
    assert texts("cafe\u0301 👩\u200d🚀".encode()) == ["café 👩\u200d🚀"]


def test_a_page_is_decoded_by_its_own_declaration() -> None:
    page = '<html><head><meta charset="gb2312"><title>标题</title></head><p>短文</p>'
    document = parse(page.encode("gb18030"), HTML, text_limit=1000)
    assert (document.title, document.blocks[0].text) == ("标题", "短文")


def test_binary_without_nul_bytes_is_binary() -> None:
    assert reason(bytes(range(1, 32)) * 50) is UnreadableReason.BINARY


def test_text_that_is_all_markup_is_empty() -> None:
    assert reason(b"<html><body><script>1</script></body></html>", HTML) is UnreadableReason.EMPTY


def test_a_pdf_is_read_page_by_page() -> None:
    pages = [
        [
            "The server starts when its settings have been ver-",
            "ified, and then serves all who",
            "ask.",
        ],
        ["Second (page)."],
    ]
    document = parse(pdf_of(pages, title="Handbook"), PDF, text_limit=1000)
    assert document.title == "Handbook"
    assert [block.text for block in document.blocks] == [
        "The server starts when its settings have been verified, and then serves all who ask.",
        "Second (page).",
    ]


def test_the_title_that_a_program_made_is_none() -> None:
    document = parse(pdf_of([["x"]], title="report.docx"), PDF, text_limit=1000)
    assert document.title == ""


def test_a_scan_is_empty_and_says_what_to_do() -> None:
    with pytest.raises(UnreadableDocument, match="OCR") as caught:
        parse(scanned_pdf(), PDF, text_limit=1000)
    assert caught.value.reason is UnreadableReason.EMPTY


def test_a_pdf_with_a_password_is_encrypted() -> None:
    assert reason(encrypted_pdf("secret", ["hidden"]), PDF) is UnreadableReason.ENCRYPTED


def test_a_pdf_that_only_restricts_is_read() -> None:
    assert texts(encrypted_pdf("", ["open"]), PDF) == ["open"]


@pytest.mark.parametrize(
    "broken", [circular_pdf(), pdf_of([["x"]])[:200], b"%PDF-1.4\n", b"%PDF-1.4\n\x00\xff" * 99]
)
def test_a_broken_pdf_is_an_error_of_its_parser(broken: bytes) -> None:
    with pytest.raises(Exception, match=r"."):
        parse(broken, PDF, text_limit=1000)
