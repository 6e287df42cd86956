"""Lists, a page at a time. A token says after which row the next page begins."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Generic, TypeVar

from core.errors import InvalidInput

Item = TypeVar("Item")

DEFAULT_SIZE = 50
MAX_SIZE = 500
MAX_WEIGHT = 2 * 1024 * 1024
"""Bytes of a page whose rows are weighed, so that it fits into any client's message."""
_LONGEST_TOKEN = 4096
"""Of a token: twice what the longest sort key and id take."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page begins: after the row with this sort key and id."""

    sort_key: str
    id: str


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Up to `size` rows after a cursor."""

    size: int = DEFAULT_SIZE
    after: Cursor | None = None

    @classmethod
    def of(cls, page_size: int, page_token: str) -> PageRequest:
        """What a caller asked for: 0 is the default size, more than the most is the most.

        Raises InvalidInput for a negative size and for a token that is not one of ours.
        """
        if page_size < 0:
            raise InvalidInput.at("page_size", "must not be negative; leave it out for the default")
        size = min(page_size or DEFAULT_SIZE, MAX_SIZE)
        return cls(size, _cursor(page_token) if page_token else None)


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """The rows, and the token of the next page; empty at the end."""

    items: tuple[Item, ...]
    next_token: str


def page_of(
    rows: Sequence[Item],
    request: PageRequest,
    cursor: Callable[[Item], Cursor],
    weight: Callable[[Item], int] | None = None,
) -> Page[Item]:
    """The page from up to `size + 1` rows: the one too many tells that there is more.

    `weight` is a row's size in bytes; the page ends before it would have more than MAX_WEIGHT,
    but not before its first row.
    """
    items = tuple(rows[: request.size])
    if weight is not None:
        items = items[: max(1, _fitting([weight(item) for item in items]))]
    more = len(rows) > len(items)
    return Page(items, _token(cursor(items[-1])) if more and items else "")


def _fitting(weights: Sequence[int]) -> int:
    """How many of them weigh no more than MAX_WEIGHT together."""
    return sum(total <= MAX_WEIGHT for total in accumulate(weights))


def _token(cursor: Cursor) -> str:
    packed = json.dumps([cursor.sort_key, cursor.id]).encode()
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def _cursor(token: str) -> Cursor:
    if len(token) > _LONGEST_TOKEN:
        raise malformed_token()
    try:
        padded = token + "=" * (-len(token) % 4)
        sort_key, id = _list(base64.b64decode(padded.encode(), altchars=b"-_", validate=True))
        (sort_key + id).encode()  # no halves of characters, which no store can compare
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise malformed_token() from error
    return Cursor(sort_key, id)


def _list(packed: bytes) -> list[str]:
    value = json.loads(packed)
    if not isinstance(value, list):
        raise TypeError("a token holds a list")
    return value


def malformed_token() -> InvalidInput:
    """What is said of a token that this list has not given out."""
    return InvalidInput.at(
        "page_token", "is not a token of this list; use next_page_token as it came, or leave it out"
    )
