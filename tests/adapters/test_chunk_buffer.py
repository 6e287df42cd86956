from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from adapters.models.chunk_buffer import ChunkBuffer


def make(buffer: ChunkBuffer, count: int, made: Callable[[int], None] = lambda _: None) -> int:
    """Puts numbers in until it is told to stop; says how many."""
    for number in range(count):
        if buffer.put(str(number).encode()):
            return number
        made(number)
    buffer.end()
    return count


async def read(buffer: ChunkBuffer) -> list[int]:
    pieces: list[int] = []
    while (piece := await buffer.get()) is not None:
        pieces.append(int(piece))
    return pieces


@pytest.mark.parametrize("limit", [1, 3, 1_000])
async def test_pieces_come_in_order_and_whole(limit: int) -> None:
    buffer = ChunkBuffer(limit)
    making = asyncio.to_thread(make, buffer, 2_000)
    assert (await asyncio.gather(making, read(buffer)))[1] == list(range(2_000))


async def test_no_more_than_the_limit_waits_for_the_reader() -> None:
    buffer = ChunkBuffer(4)
    made: list[int] = []
    reached = {3: threading.Event(), 4: threading.Event()}

    def note(number: int) -> None:
        made.append(number)
        if number in reached:
            reached[number].set()

    making = asyncio.create_task(asyncio.to_thread(make, buffer, 100, note))
    assert await asyncio.to_thread(reached[3].wait, 10)
    assert made == [0, 1, 2, 3]
    assert await buffer.get() == b"0"
    assert await asyncio.to_thread(reached[4].wait, 10)
    assert made == [0, 1, 2, 3, 4]
    buffer.stop()
    assert await making == 5


async def test_a_thread_that_waits_is_let_go_by_a_stop() -> None:
    buffer = ChunkBuffer(1)
    making = asyncio.create_task(asyncio.to_thread(make, buffer, 100))
    assert await buffer.get() == b"0"
    buffer.stop()
    assert await asyncio.wait_for(making, 10) < 100
    assert buffer.is_stopped
    assert await buffer.get() is None


async def test_an_error_comes_after_what_was_made_before() -> None:
    buffer = ChunkBuffer(10)
    buffer.put(b"1")
    buffer.end(ValueError("broken"))
    assert await buffer.get() == b"1"
    with pytest.raises(ValueError, match="broken"):
        await buffer.get()


async def test_a_stop_with_an_error_comes_first() -> None:
    buffer = ChunkBuffer(10)
    buffer.put(b"1")
    buffer.stop(ValueError("closed"))
    buffer.end()
    with pytest.raises(ValueError, match="closed"):
        await buffer.get()


def test_a_loop_that_is_gone_lets_the_thread_go() -> None:
    async def begin() -> ChunkBuffer:
        return ChunkBuffer(1)

    buffer = asyncio.run(begin())
    with ThreadPoolExecutor() as pool, pytest.raises(RuntimeError):
        pool.submit(make, buffer, 3).result(10)
