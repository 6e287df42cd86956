"""Turns as they stand: looked up by id or by request id, without reading along."""

from __future__ import annotations

from dataclasses import dataclass, replace

from core.call import Call
from core.errors import NotFound
from core.identifiers import RequestId, Seconds, TurnId
from core.ports.event_codec import EventCodec
from core.ports.state import State, Transaction
from core.turns.events import Latencies
from core.turns.rows import CHAT, ExecutionRecord, IdempotencyKey, Turn
from core.turns.transcript import Transcript
from services.turns.logged import transcript_of, whole_log
from services.turns.orphans import Orphans
from services.turns.reading import check_position
from services.turns.settlement import Total


@dataclass(frozen=True, slots=True)
class TurnView:
    """A turn as it stands: its row, what its log says, and what was booked for it so far."""

    turn: Turn
    transcript: Transcript
    encoded_events: bytes
    total: Total
    latencies: Latencies


class Lookup:
    """What the caller may see of its own turns. One that nobody runs is settled first."""

    def __init__(self, state: State, codec: EventCodec, orphans: Orphans) -> None:
        self._state = state
        self._codec = codec
        self._orphans = orphans

    async def row(self, call: Call, turn: TurnId) -> Turn:
        """The turn's row, or NotFound."""
        async with self._state.snapshot(call.principal.tenant) as view:
            return await own(view, call, turn)

    async def find(self, call: Call, request_id: RequestId) -> TurnId:
        """The turn that the caller's own request id stands for, or NotFound."""
        principal = call.principal
        key = IdempotencyKey(principal.tenant, principal.user, CHAT, request_id)
        async with self._state.snapshot(principal.tenant) as view:
            record = await view.idempotency.find(key)
        if record is None:
            raise NotFound("turn", request_id)
        return record.turn

    async def view(self, call: Call, turn: TurnId, *, with_events: bool) -> TurnView:
        """The turn from one snapshot. Raises NotFound, and TurnLogExpired for events not kept."""
        async with self._state.snapshot(call.principal.tenant) as view:
            nobodys = self._orphans.is_due(await own(view, call, turn), view.now)
        if nobodys:
            await self._orphans.settle_if_due(turn)
        async with self._state.snapshot(call.principal.tenant) as view:
            row = await own(view, call, turn)
            if with_events:
                check_position(row, 0)
            log = [event async for event in whole_log(view, row)]
            lines = await view.spending.lines(row.id)
            execution = await view.spending.execution(row.id)
        call.facts.turn_id, call.facts.request_id = row.id, row.request_id
        encoded = b"".join(event.body for event in log) if with_events else b""
        seen = transcript_of(self._codec, log)
        return TurnView(row, seen, encoded, Total.of(lines), _latencies(seen, execution))


async def own(tx: Transaction, call: Call, id: TurnId) -> Turn:
    """The caller's own turn, or NotFound."""
    turn = await tx.turns.get(id)
    if turn is None or turn.user != call.principal.user:
        raise NotFound("turn", id)
    return turn


def _latencies(seen: Transcript, execution: ExecutionRecord | None) -> Latencies:
    """What the last event says; of a turn that failed, which has none, what is on record."""
    if seen.finished is not None:
        return seen.finished.latencies
    if execution is None:
        return Latencies()
    return replace(Latencies(), total=Seconds(execution.latency_ms / 1000.0))
