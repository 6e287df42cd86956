"""One commit for all runs of a process: each is judged alone, two of one turn as well."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from core.identifiers import Seconds
from core.turns.events import Text
from core.turns.rows import EndReason
from fakes.language_model import Wait, script
from fakes.state import FakeState
from fakes.turn_node import ACME, a_model, a_request, turn_node
from fakes.turn_readers import reading
from services.turns.run import Run, Start
from services.turns.run_log import Renew


async def test_a_stale_run_beside_the_next_one_shows_nothing(fake: FakeState) -> None:
    """Both are here, and write in one commit: what the stale one says is in no log and no tail."""
    async with turn_node(fake, [a_model(script("one ", Wait(60)))]) as node:
        with reading(node.stream(a_request("count", detach=True))) as reader:
            turn = (await reader.until(2)).turn
            stale, now = node.turns._runs.get(turn), node.clock.monotonic()
            assert stale is not None
            async with fake.transaction(ACME) as tx:
                row = replace((await tx.turns.lock([turn]))[turn], epoch=2)
                tx.turns.update(row)
            fresh = asyncio.get_running_loop().create_future()

            async def goes_on(run: Run) -> EndReason:
                run.log.write(Text("new "), now)
                stale.log.write(Text("old "), now)
                fresh.set_result(run)
                await run.log.perform(Renew())
                return EndReason.STOP

            node.turns._runs._admission.take(ACME)
            end = Seconds(now + 60)
            node.turns._runs.start(Start(row, end, end), goes_on)
            await asyncio.wait_for(stale.log.lost, 5)
            view = await node.get(turn, with_events=True)
        assert view.transcript.text == "one new "
        assert "old " not in reader.read.text
