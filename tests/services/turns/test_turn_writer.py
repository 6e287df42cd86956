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


async def test_a_stale_run_beside_the_next_one_is_told(fake: FakeState) -> None:
    """Both are here, and want something of one commit: neither gets the answer of the other."""
    async with turn_node(fake, [a_model(script("one ", Wait(60)))]) as node:
        with reading(node.stream(a_request("count", detach=True))) as reader:
            turn = (await reader.until(2)).turn
            stale, now = node.turns._runs.get(turn), node.clock.monotonic()
            assert stale is not None
            async with fake.transaction(ACME) as tx:
                row = replace((await tx.turns.lock([turn]))[turn], epoch=2)
                tx.turns.update(row)

            async def goes_on(run: Run) -> EndReason:
                await asyncio.sleep(3)  # both are renewed meanwhile, in the same commits
                assert stale.log.lost.done()
                await run.emit(Text("new "))
                return EndReason.STOP

            node.turns._runs._admission.take(ACME)
            end = Seconds(now + 60)
            node.turns._runs.start(Start(row, end, end, stale.transcript), goes_on)
            assert (await reader.end()).text == "one new "
