"""These tests run on virtual time: what takes minutes takes none, in the same order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import pytest

from fakes.virtual_time import VirtualTimeLoop


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"virtual time": VirtualTimeLoop}
