"""A claim whose reply is lost: its caller may go, its turn may not be left alone."""

from __future__ import annotations

import asyncio

from core.errors import Reason
from core.ports.state import StoreUnavailable
from core.turns.rows import TurnState
from fakes.language_model import words
from fakes.state import CommitFault, FakeState
from fakes.state_tables import Tables
from fakes.turn_node import a_model, turn_node

TALE = words("one two three four five", pause=0.3)


async def test_a_claim_whose_reply_stays_lost_is_settled_by_who_comes(fake: FakeState) -> None:
    """The store stays away for a lease and more; the row that it has is nobody's, and ends."""
    model = a_model(TALE)
    async with turn_node(fake, [model]) as node:
        fake.faults.fail_commits(CommitFault.REPLY_LOST, touching="idempotency")
        asking = asyncio.create_task(node.ask("count", node.call(deadline=1), request_id="r1"))
        await _until_claimed(fake)
        fake.faults.away = True
        gave_up = await asking
        assert isinstance(gave_up.error, StoreUnavailable)
        fake.faults.away = False
        assert [row.state for row in fake.tables.turns.values()] == [TurnState.RUNNING]
        early = await node.ask("count", request_id="r1")  # before the lease is over: it waits
        assert early.error is not None
        assert early.error.reason is Reason.TURN_INTERRUPTED
        again = await node.ask("count", request_id="r1")
        assert again.text == "one two three four five"
        assert len(model.calls) == 1


async def test_a_claim_that_is_known_after_its_callers_deadline_is_ended_at_once(
    fake: FakeState,
) -> None:
    """Nobody waits for it any more, and yet it is not left for a sweeper, its branch busy."""
    model = a_model(TALE)
    async with turn_node(fake, [model]) as node:
        fake.faults.fail_commits(CommitFault.REPLY_LOST, touching="idempotency")
        asking = asyncio.create_task(node.ask("count", node.call(deadline=1), request_id="r1"))
        await _until_claimed(fake)
        fake.faults.away = True
        await asyncio.sleep(2)
        fake.faults.away = False
        late = await asking
        assert late.error is not None
        assert late.error.reason is Reason.DEADLINE_EXCEEDED
        assert node.clock.monotonic() < 2.5
        assert [row.state for row in fake.tables.turns.values()] == [TurnState.FAILED]
        assert not model.calls


async def test_nothing_is_begun_for_a_caller_who_has_gone(fake: FakeState) -> None:
    """The claim in doubt turns out not to have been made, after its caller's deadline."""
    model = a_model(TALE)
    async with turn_node(fake, [model]) as node:
        fake.faults.fail_commits(CommitFault.REPLY_LOST, touching="idempotency")
        asking = asyncio.create_task(node.ask("count", node.call(deadline=1), request_id="r1"))
        await _until_claimed(fake)
        fake.faults.away = True
        await asyncio.sleep(2)
        fake.tables = Tables()  # as if the lost reply had been that of a commit which failed
        fake.faults.away = False
        late = await asking
        assert late.error is not None
        assert late.error.reason is Reason.DEADLINE_EXCEEDED
        assert not fake.tables.turns
        assert not model.calls


async def _until_claimed(fake: FakeState) -> None:
    while not fake.tables.turns:  # noqa: ASYNC110 - a commit is some steps away
        await asyncio.sleep(0)
