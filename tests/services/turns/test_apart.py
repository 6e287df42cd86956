"""Waiting apart: what is waited for goes on, whoever is cancelled."""

from __future__ import annotations

import asyncio

import pytest

from services.turns.apart import apart


def a_future() -> asyncio.Future[int]:
    return asyncio.get_running_loop().create_future()


async def waiting_for(future: asyncio.Future[int]) -> asyncio.Task[int]:
    waiting = asyncio.create_task(apart(future))
    await asyncio.sleep(0)
    return waiting


async def test_it_is_what_the_future_is() -> None:
    future = a_future()
    waiting = await waiting_for(future)
    future.set_result(3)
    assert await waiting == 3
    assert await apart(future) == 3


async def test_it_fails_as_the_future_does() -> None:
    future = a_future()
    waiting = await waiting_for(future)
    future.set_exception(KeyError("gone"))
    with pytest.raises(KeyError):
        await waiting


async def test_who_is_cancelled_leaves_it_to_the_others() -> None:
    future = a_future()
    leaving, staying = await waiting_for(future), await waiting_for(future)
    leaving.cancel()
    await asyncio.wait({leaving})
    assert leaving.cancelled()
    assert not future.done()
    future.set_result(3)
    assert await staying == 3


async def test_a_future_that_is_cancelled_cancels_who_waits() -> None:
    future = a_future()
    waiting = await waiting_for(future)
    future.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_an_error_that_nobody_waits_for_is_not_reported(
    caplog: pytest.LogCaptureFixture,
) -> None:
    future = a_future()
    leaving = await waiting_for(future)
    leaving.cancel()
    await asyncio.wait({leaving})
    future.set_exception(KeyError("gone"))
    await asyncio.sleep(0)
    del future, leaving
    assert not caplog.records
