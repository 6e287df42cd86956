"""The newest events of a run in memory: as bytes, by number, bounded, and told to who waits."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from core.ports.state import StoreUnavailable
from core.turns.rows import LoggedEvent
from fakes.turn_rows import RUNNING
from services.turns.tail import Tail
from services.turns.timings import TurnTimings

TURN = replace(RUNNING, next_seq=1)
MESSAGE = 1_000


def event(seq: int, size: int = 10) -> LoggedEvent:
    return LoggedEvent(seq, 1, 1, "delta", str(seq % 10).encode() * size)


def batch(*events: LoggedEvent) -> tuple[bytes, int]:
    after = events[-1].seq if events else 3
    return b"".join(event.body for event in events), after


def tail(**bounds: int) -> Tail:
    return Tail(TURN, TurnTimings(**bounds))  # type: ignore[arg-type]  # sizes, which are ints


def test_events_are_read_on_from_any_number_that_it_holds() -> None:
    made = tail()
    made.publish([event(1), event(2)])
    made.publish([event(3)])
    for after in range(4):
        assert made.since(after, MESSAGE) == batch(*(event(seq) for seq in range(after + 1, 4)))
        assert made.serves(after)
    assert not made.serves(4)
    assert made.since(4, MESSAGE) is None


def test_a_message_takes_what_fits_and_one_event_at_least() -> None:
    made = tail()
    made.publish([event(1, 600), event(2, 600), event(3, 2_000), event(4)])
    assert made.since(0, MESSAGE) == batch(event(1, 600))
    assert made.since(0, 1_199) == batch(event(1, 600))
    assert made.since(0, 1_200) == batch(event(1, 600), event(2, 600))
    assert made.since(2, MESSAGE) == batch(event(3, 2_000))
    assert made.since(3, MESSAGE) == batch(event(4))


@pytest.mark.parametrize("bounds", [{"tail_events": 3}, {"tail_bytes": 39}])
def test_the_oldest_are_forgotten_beyond_the_bounds(bounds: dict[str, int]) -> None:
    made = tail(**bounds)
    made.publish([event(seq) for seq in range(1, 11)])
    assert [after for after in range(12) if made.holds(after + 1)] == [7, 8, 9, 10]
    assert made.since(6, MESSAGE) is None
    assert made.since(7, MESSAGE) == batch(event(8), event(9), event(10))
    made.publish([event(11)])
    assert made.since(9, MESSAGE) == batch(event(10), event(11))
    assert made.since(7, MESSAGE) is None


def test_what_does_not_follow_takes_the_place_of_what_is_there() -> None:
    made = tail()
    made.publish([event(1), event(2)])
    made.publish([event(5)])
    assert not made.serves(1)
    assert made.since(4, MESSAGE) == batch(event(5))
    made.publish([event(6)])
    assert made.since(5, MESSAGE) == batch(event(6))


async def test_all_who_wait_are_told_once_of_news_and_of_an_outage() -> None:
    made = tail()
    waiting = [made.changed(), made.changed()]
    waiting[0].cancel()
    made.publish([event(1), event(2)])
    await waiting[1]
    waiting = [made.changed(), made.changed()]
    made.interrupt(StoreUnavailable("the store is away"))
    errors = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(error) for error in errors] == [StoreUnavailable, StoreUnavailable]
    assert errors[0] is not errors[1]
    later = made.changed()
    made.close(None)
    await later


def test_one_that_has_ended_serves_whoever_lacks_what_it_holds_or_has_all() -> None:
    made = tail(tail_events=2)
    made.publish([event(seq) for seq in range(1, 5)])
    made.close(replace(TURN, next_seq=5))
    assert [after for after in range(7) if made.serves(after)] == [2, 3, 4]
    assert made.since(2, MESSAGE) == batch(event(3), event(4))
    assert made.since(4, MESSAGE) == (b"", 4)
    assert made.since(1, MESSAGE) is None
