"""What the stores are opened with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import adapters.state.postgres.state as postgres_state
import adapters.state.sqlite.state as sqlite_state
from adapters.state.postgres.options import PostgresOptions
from adapters.state.sqlite.options import SqliteOptions
from colonnaded import policies
from colonnaded.data_directory import DataDirectory
from colonnaded.openers.state import open_state
from colonnaded.settings import Settings
from core.identifiers import Seconds
from fakes.state import FakeState
from fakes.turn_node import loop_now
from services.turns.timings import TurnTimings


@pytest.mark.parametrize("adapter", ["sqlite", "postgres"])
async def test_a_statement_may_take_as_long_as_the_turns_count_with(
    adapter: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bounds of the turn protocol rest on it, so that there is one number."""
    opened: list[SqliteOptions | PostgresOptions] = []

    async def keep(options: SqliteOptions | PostgresOptions) -> FakeState:
        opened.append(options)
        return FakeState(loop_now)

    chosen = replace(TurnTimings(), statement=Seconds(1.5))
    monkeypatch.setattr(policies, "turn_timings", lambda _: chosen)
    monkeypatch.setattr(sqlite_state, "open_sqlite", keep)
    monkeypatch.setattr(postgres_state, "open_postgres", keep)
    monkeypatch.setenv("TEST_STATE_URL", "postgresql://colonnade@localhost/none")
    url = {"url": {"env": "TEST_STATE_URL"}} if adapter == "postgres" else {}
    settings = Settings.model_validate({"data_dir": tmp_path, "state": {"adapter": adapter, **url}})
    states = open_state(settings, DataDirectory(tmp_path))
    await anext(states)
    await states.aclose()  # type: ignore[attr-defined]  # a generator, as all openers are
    assert [options.statement_timeout for options in opened] == [1.5]
