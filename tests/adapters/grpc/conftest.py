"""A served node for a test that wants nothing special of it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from fakes.served_node import ServedNode, served_node


@pytest.fixture
async def node() -> AsyncIterator[ServedNode]:
    """A server whose model says `Hello.`"""
    async with served_node() as serving:
        yield serving
