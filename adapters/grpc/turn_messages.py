"""Turns as they stand, to messages."""

from __future__ import annotations

from adapters.grpc import errors, event_messages, messages, names, values
from colonnade.v1 import messages_pb2, turns_pb2
from core.identifiers import MessageId
from core.turns.rows import EndReason, TurnState
from core.turns.transcript import Transcript
from services.turns.turns import TurnView

STATES = {
    TurnState.RUNNING: turns_pb2.TURN_STATE_RUNNING,
    TurnState.WAITING: turns_pb2.TURN_STATE_WAITING,
    TurnState.FINISHED: turns_pb2.TURN_STATE_FINISHED,
    TurnState.FAILED: turns_pb2.TURN_STATE_FAILED,
}
_COMPLETE = frozenset({EndReason.STOP, EndReason.REFUSED})


def turn(view: TurnView) -> turns_pb2.Turn:
    """A turn as it stands."""
    row, seen = view.turn, view.transcript
    finished = seen.finished
    message = turns_pb2.Turn(
        turn_id=row.id,
        request_id=row.request_id,
        state=STATES[row.state],
        run=row.run,
        conversation=names.conversation_name(row.conversation),
        user_message=names.message_name(row.conversation, row.user_message),
        answer=_answer(view) if row.state.ended and seen.text else None,
        finish_reason=values.finish_reason(row.reason),
        error=errors.rich_failure(row.error) if row.error else None,
        rerunnable=row.rerunnable,
        cancel_requested=row.cancel is EndReason.CANCELLED,
        prompt_version=seen.started.prompt_version if seen.started else "",
        model=seen.model or view.total.last,
        validation=values.validation(seen.verdict) if seen.verdict else None,
        create_time=values.timestamp(row.created_at),
        end_time=values.timestamp(row.ended_at),
        last_sequence=row.next_seq - 1,
        retrieved=[event_messages.retrieved_chunk(passage) for passage in seen.passages],
    )
    if row.state.ended:
        spent = finished or view.total
        message.usage.CopyFrom(values.usage(spent.usage, estimated=spent.estimated))
        message.latencies.CopyFrom(values.latencies(view.latencies))
        cost = values.money(spent.cost, spent.currency)
        if cost is not None:
            message.cost.CopyFrom(cost)
    message.events.extend(turns_pb2.TurnEvents.FromString(view.encoded_events).events)
    return message


def _answer(view: TurnView) -> messages_pb2.Message:
    row, seen = view.turn, view.transcript
    return messages.answer(
        seen.text,
        row.conversation,
        _answer_id(seen),
        citations=[event_messages.citation(citation) for citation in seen.citations],
        partial=row.reason not in _COMPLETE,
        model=seen.model,
    )


def _answer_id(seen: Transcript) -> MessageId | None:
    return seen.finished.message if seen.finished else None
