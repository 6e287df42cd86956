"""Past its hard limit a turn has no lease: anyone may end it, and its runner calls nobody."""

from __future__ import annotations

import asyncio

import pytest

from core.errors import DeadlineExceeded
from core.turns.rows import TurnState
from fakes.language_model import Hang, script
from fakes.state import FakeState
from fakes.turn_cluster import turn_cluster
from fakes.turn_node import a_model, a_request
from fakes.turn_readers import Reader
from services.turns.run import Run


async def test_a_runner_whose_clock_stands_still_calls_nobody_past_all_time(
    fake: FakeState, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its commits go through as long as nobody has ended the turn, and renew nothing any more."""

    async def stuck(self: Run, producing: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(Run, "_watch", stuck)
    async with turn_cluster(fake, [a_model(script("a", Hang()))]) as cluster:
        node = await cluster.start()
        reader = Reader(node.stream(a_request(request_id="r1"), node.call(deadline=20)))
        turn = (await reader.until(2)).turn
        run = node.turns._runs.get(turn)
        assert run is not None
        await asyncio.sleep(28)
        await run.hold_lease()  # late, and not too late
        await asyncio.sleep(1.8)
        assert (await node.row(turn)).state is TurnState.RUNNING
        with pytest.raises(DeadlineExceeded):
            await run.hold_lease()
        with pytest.raises(DeadlineExceeded):
            await run.intend_tool()
        await reader.end()
        cluster.kill(node)
