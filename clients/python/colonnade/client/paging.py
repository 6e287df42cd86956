"""What lists that come in pages have in common, as far as walking through them goes."""

from __future__ import annotations

from typing import Protocol

PAGE_SIZE = 200


class PageRequest(Protocol):
    """A request for a page of a list."""

    page_token: str


class Page(Protocol):
    """A page; its token leads to the next one, and is empty on the last."""

    next_page_token: str
