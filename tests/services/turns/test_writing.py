"""What steps of one transaction share: each attempt is read at most once, and written once."""

from __future__ import annotations

from dataclasses import replace

from contracts.state_samples import ACME, an_attempt
from core.ports.state import State
from core.turns.rows import Attempt
from fakes.state import FakeState
from services.turns.writing import Writing


async def stored(state: State) -> list[Attempt]:
    async with state.snapshot(ACME) as view:
        return list(await view.spending.attempts("turn-1"))


async def test_the_last_change_of_an_attempt_is_the_one_that_is_written(fake: FakeState) -> None:
    async with fake.transaction(ACME) as tx:
        writing = Writing()
        assert await writing.attempts(tx, "turn-1") == []
        writing.begin(an_attempt(1))
        writing.change(replace(an_attempt(1), output_bytes=1))
        writing.change(replace(an_attempt(1), output_bytes=2))
        writing.write(tx)
    assert await stored(fake) == [replace(an_attempt(1), output_bytes=2)]


async def test_what_was_changed_before_the_read_is_seen_by_it(fake: FakeState) -> None:
    async with fake.transaction(ACME) as tx:
        tx.spending.begin(an_attempt(1))
        tx.spending.begin(an_attempt(2))
    async with fake.transaction(ACME) as tx:
        writing = Writing()
        changed = replace(an_attempt(1), output_bytes=9)
        writing.change(changed)
        assert await writing.attempts(tx, "turn-1") == [changed, an_attempt(2)]
        assert writing.known == {1: changed, 2: an_attempt(2)}
        writing.write(tx)
    assert await stored(fake) == [changed, an_attempt(2)]


async def test_known_attempts_are_not_read_again_and_not_changed_before_the_commit(
    fake: FakeState,
) -> None:
    known = {1: an_attempt(1)}
    async with fake.transaction(ACME) as tx:
        writing = Writing(known)
        writing.begin(an_attempt(2))
        assert await writing.attempts(tx, "turn-1") == [an_attempt(1), an_attempt(2)]
    assert known == {1: an_attempt(1)}


async def test_a_fresh_run_knows_of_no_attempts_only_when_it_begins_one(fake: FakeState) -> None:
    """A gateway elsewhere may have begun some for it."""
    async with fake.transaction(ACME) as tx:
        tx.spending.begin(an_attempt(1))
    async with fake.transaction(ACME) as tx:
        assert await Writing(fresh=True).attempts(tx, "turn-1") == [an_attempt(1)]
        assert await Writing(fresh=True).attempts(tx, "turn-1", begins=True) == []
