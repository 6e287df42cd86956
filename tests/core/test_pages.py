"""Lists by pages: every row once, in order, and no token but our own."""

from __future__ import annotations

import base64
import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidInput
from core.pages import DEFAULT_SIZE, MAX_SIZE, MAX_WEIGHT, Cursor, PageRequest, page_of

keys = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def _read(rows: list[str], size: int, *, weight: int | None = None) -> list[list[str]]:
    """All pages of a list of distinct rows, as a client reads them."""
    pages: list[list[str]] = []
    token = ""
    while True:
        request = PageRequest.of(size, token)
        after = request.after
        rest = rows if after is None else rows[rows.index(after.id) + 1 :]
        page = page_of(
            rest[: request.size + 1],
            request,
            lambda row: Cursor(row[:3], row),
            None if weight is None else lambda _: weight,
        )
        pages.append(list(page.items))
        token = page.next_token
        if not token:
            return pages


@given(st.lists(keys, max_size=30, unique=True), st.integers(1, 12))
def test_every_row_comes_once_and_in_order(rows: list[str], size: int) -> None:
    pages = _read(rows, size)
    assert [row for page in pages for row in page] == rows
    assert all(len(page) == size for page in pages[:-1])


@given(st.lists(keys, min_size=1, max_size=12, unique=True), st.integers(1, 12))
def test_heavy_rows_come_in_shorter_pages(rows: list[str], size: int) -> None:
    pages = _read(rows, size, weight=MAX_WEIGHT // 2)
    assert [row for page in pages for row in page] == rows
    assert max(len(page) for page in pages) <= 2
    alone = _read(rows, size, weight=2 * MAX_WEIGHT)
    assert [len(page) for page in alone] == [1] * len(rows)


def test_a_list_that_fits_exactly_has_no_next_page() -> None:
    assert _read(["a", "b"], 2) == [["a", "b"]]
    assert _read([], 2) == [[]]


@pytest.mark.parametrize(
    ("asked", "size"), [(0, DEFAULT_SIZE), (1, 1), (MAX_SIZE, MAX_SIZE), (10**9, MAX_SIZE)]
)
def test_sizes_have_bounds(asked: int, size: int) -> None:
    assert PageRequest.of(asked, "") == PageRequest(size)


def test_a_negative_size_is_refused() -> None:
    with pytest.raises(InvalidInput) as wrong:
        PageRequest.of(-1, "")
    assert [violation.field for violation in wrong.value.violations] == ["page_size"]


def _token(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "token",
    [
        "x",
        "!!!",
        "é",
        "AAAA",
        "A" * 100_000,
        _token(None),
        _token([]),
        _token(["a"]),
        _token(["a", "b", "c"]),
        _token([1, 2]),
        _token([["a"], ["b"]]),
        _token(["a", None]),
        _token({"a": 1, "b": 2}),
        _token("ab"),
        _token(["\ud800", "b"]),
        base64.urlsafe_b64encode(b"[" * 3000).decode(),
    ],
)
def test_a_token_that_is_not_ours_is_refused(token: str) -> None:
    with pytest.raises(InvalidInput) as wrong:
        PageRequest.of(1, token)
    assert [violation.field for violation in wrong.value.violations] == ["page_token"]


@given(st.text(max_size=40))
def test_any_token_is_read_or_refused(token: str) -> None:
    with suppress(InvalidInput):
        PageRequest.of(1, token)
