"""What one store answers to a random program, the other answers too."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.state.sqlite.options import SqliteOptions
from adapters.state.sqlite.state import open_sqlite
from contracts.state_answers import run
from contracts.state_programs import SUBJECTS, Block, programs
from contracts.state_samples import ACME, ANN, NOON, a_conversation
from core.errors import NotFound
from core.ports.state import State, StoreConflict
from fakes.state import FakeState

EXAMPLES = 50  # each makes a store of its own, which takes most of the time


async def run_on_both(program: list[Block]) -> tuple[list[object], list[object]]:
    fake = FakeState(now=lambda: NOON)
    with tempfile.TemporaryDirectory() as folder:
        options = SqliteOptions(Path(folder) / "state.sqlite", now=lambda: NOON, readers=1)
        sqlite = await open_sqlite(options)
        try:
            return await run(fake, program), await run(sqlite, program)
        finally:
            await sqlite.close()


@pytest.mark.parametrize("subject", SUBJECTS)
def test_both_answer_the_same(subject: str) -> None:
    @settings(max_examples=EXAMPLES)
    @given(programs(SUBJECTS[subject]))
    def check(program: list[Block]) -> None:
        of_fake, of_sqlite = asyncio.run(run_on_both(program))
        assert of_fake == of_sqlite

    check()


@settings(max_examples=EXAMPLES)
@given(st.lists(st.sampled_from(["keep", "raise", "clash"]), max_size=40))
def test_many_at_once_leave_what_they_said(kinds: list[str]) -> None:
    """Of blocks that run together those that ended well are there, and the others are not."""

    async def attempt(state: State, number: int, kind: str) -> None:
        async with state.transaction(ACME) as tx:
            if number % 3:
                await tx.conversations.get(a_conversation().id)
            tx.conversations.insert(a_conversation(f"c{number}"))
            if kind == "raise":
                raise NotFound("thing", "it")
            if kind == "clash":
                tx.conversations.insert(a_conversation("talk"))

    async def check() -> None:
        with tempfile.TemporaryDirectory() as folder:
            state = await open_sqlite(SqliteOptions(Path(folder) / "state.sqlite", group_size=5))
            async with state.transaction(ACME) as tx:
                tx.conversations.insert(a_conversation("talk"))
            attempts = [attempt(state, *each) for each in enumerate(kinds)]
            results = await asyncio.gather(*attempts, return_exceptions=True)
            async with state.snapshot(ACME) as tx:
                found = {row.id for row in await tx.conversations.list(ANN, 1000, None)}
            await state.close()
        told = {"keep": type(None), "raise": NotFound, "clash": StoreConflict}
        assert [type(result) for result in results] == [told[kind] for kind in kinds]
        good = {f"c{number}" for number, kind in enumerate(kinds) if kind == "keep"}
        assert found == good | {"talk"}

    asyncio.run(check())
