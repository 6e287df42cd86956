"""Who may use a data directory, and who knows that nobody else does."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from colonnaded.data_directory import (
    DataDirectory,
    DataDirectoryLocked,
    data_directory,
    owners,
    unused_store,
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "data"


async def entered(
    stack: AsyncExitStack, root: Path, replicas: int, store: Path | None = None
) -> DataDirectory:
    """One more process, as far as the locks can tell."""
    file = store or root / "state.sqlite"
    return await stack.enter_async_context(data_directory(root, replicas=replicas, store=file))


async def test_the_first_is_alone_and_the_next_waits_until_it_has_settled(root: Path) -> None:
    async with AsyncExitStack() as stack:
        first = await entered(stack, root, 2)
        assert (first.alone, first.slot) == (True, 1)
        second = asyncio.create_task(entered(stack, root, 2))
        await asyncio.sleep(0.1)
        assert not second.done()
        first.let_others_in()
        other = await second
        assert (other.alone, other.slot) == (False, 2)
        assert other.vectors != first.vectors
        assert other.keywords != first.keywords


async def test_whoever_starts_while_others_live_is_never_alone(root: Path) -> None:
    async with AsyncExitStack() as stack:
        (await entered(stack, root, 2)).let_others_in()
        for _ in range(3):
            async with AsyncExitStack() as life:
                data = await entered(life, root, 2)
                assert (data.alone, data.slot) == (False, 2)
                data.let_others_in()


async def test_the_last_to_go_leaves_it_to_the_next_alone(root: Path) -> None:
    for _ in range(2):
        async with AsyncExitStack() as stack:
            data = await entered(stack, root, 2)
            assert data.alone
            data.let_others_in()
            assert not (await entered(stack, root, 2)).alone


async def test_one_that_wants_it_alone_and_one_that_shares_exclude_each_other(root: Path) -> None:
    async with AsyncExitStack() as stack:
        (await entered(stack, root, 2)).let_others_in()
        with pytest.raises(DataDirectoryLocked):
            await entered(stack, root, 1)
    async with AsyncExitStack() as stack:
        data = await entered(stack, root, 1)
        data.let_others_in()  # nobody may come
        with pytest.raises(DataDirectoryLocked, match="is in use by another process"):
            await entered(stack, root, 2)


async def test_two_directories_with_one_store_know_of_each_other(tmp_path: Path) -> None:
    store = tmp_path / "elsewhere" / "state.sqlite"
    async with AsyncExitStack() as stack:
        (await entered(stack, tmp_path / "a", 2, store)).let_others_in()
        assert not (await entered(stack, tmp_path / "b", 2, store)).alone
        with pytest.raises(DataDirectoryLocked):
            await entered(stack, tmp_path / "c", 1, store)


async def test_a_store_that_is_a_server_is_never_had_alone(root: Path) -> None:
    async with data_directory(root, replicas=1, store=None) as data:
        assert not data.alone
        data.let_others_in()
        with pytest.raises(DataDirectoryLocked):
            async with data_directory(root, replicas=1, store=None):
                pass


async def test_a_store_in_use_is_not_copied(root: Path) -> None:
    async with AsyncExitStack() as stack:
        (await entered(stack, root, 2)).let_others_in()
        with pytest.raises(DataDirectoryLocked):
            await stack.enter_async_context(unused_store(root / "state.sqlite"))
    async with unused_store(root / "state.sqlite"), AsyncExitStack() as stack:
        with pytest.raises(DataDirectoryLocked):
            await entered(stack, root, 1)


async def test_its_users_can_be_told_without_disturbing_them(root: Path) -> None:
    async with AsyncExitStack() as stack:
        assert owners(root, 2) == []
        (await entered(stack, root, 2)).let_others_in()
        assert len(owners(root, 2)) == 1
        await entered(stack, root, 2)
        assert len(owners(root, 2)) == 2
