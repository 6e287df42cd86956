"""A turn's events as its log keeps them: numbered and encoded, and read back whole."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Sequence

from core.ports.event_codec import EventCodec
from core.ports.state import Transaction
from core.turns.events import TurnEvent, kind_of
from core.turns.rows import LoggedEvent, Turn
from core.turns.transcript import Transcript

_PAGE = 256


def numbered(
    codec: EventCodec, events: Sequence[TurnEvent], *, first: int, run: int, epoch: int
) -> tuple[LoggedEvent, ...]:
    """The events under the numbers from `first` on, their bytes made once for log and wire."""
    return tuple(
        [
            LoggedEvent(seq, run, epoch, kind_of(event), codec.encode(seq, event))
            for seq, event in enumerate(events, start=first)
        ]
    )


async def whole_log(tx: Transaction, turn: Turn) -> AsyncGenerator[LoggedEvent, None]:
    """Every event that is kept of a turn, in order, page by page."""
    after = turn.log_from - 1
    while True:
        page = await tx.events.read(turn.id, after, _PAGE)
        for event in page:
            yield event
            after = event.seq
        if len(page) < _PAGE:
            return


def transcript_of(codec: EventCodec, events: Iterable[LoggedEvent]) -> Transcript:
    """What a reader of these events would hold."""
    return Transcript.of(event for logged in events for _, event in codec.decode(logged.body))
