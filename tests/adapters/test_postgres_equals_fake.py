"""What the fake answers to a random program, PostgreSQL answers too."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings

from adapters.state.postgres.options import PostgresOptions
from adapters.state.postgres.state import open_postgres
from contracts.state_answers import run
from contracts.state_programs import SUBJECTS, Block, programs
from contracts.state_samples import NOON
from fakes.state import FakeState
from servers.postgres import PostgresServer

EXAMPLES = 20


async def run_on_both(program: list[Block], url: str) -> tuple[list[object], list[object]]:
    fake = FakeState(now=lambda: NOON)
    postgres = await open_postgres(PostgresOptions(url, now=lambda: NOON))
    try:
        return await run(fake, program), await run(postgres, program)
    finally:
        await postgres.close()


@pytest.mark.parametrize("subject", SUBJECTS)
def test_both_answer_the_same(
    subject: str, postgres_server: PostgresServer, postgres_url: str
) -> None:
    @settings(max_examples=EXAMPLES)
    @given(programs(SUBJECTS[subject]))
    def check(program: list[Block]) -> None:
        of_fake, of_postgres = asyncio.run(run_on_both(program, postgres_url))
        postgres_server.empty_database(postgres_url.rsplit("/", 1)[1])
        assert of_fake == of_postgres

    check()
