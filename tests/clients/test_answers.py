"""Answers, put together from events or read from a turn."""

from __future__ import annotations

from decimal import Decimal

import pytest
from google.rpc.status_pb2 import Status

from clients.turn_logs import (
    TURN,
    cited,
    finished,
    found,
    numbered,
    started,
    text,
    validated,
    whole_turn,
)
from colonnade.client import Answer, Cost, NotFound, answer_of, turn_error
from colonnade.client.folding import AnswerFold
from colonnade.v1.messages_pb2 import Message, Part
from colonnade.v1.turns_pb2 import (
    FINISH_REASON_CANCELLED,
    FINISH_REASON_REFUSED,
    FINISH_REASON_STOP,
    TURN_STATE_FAILED,
    TURN_STATE_FINISHED,
    TURN_STATE_RUNNING,
    Delta,
    Finished,
    ProviderSwitched,
    Retracted,
    RetrievedChunk,
    Turn,
    TurnEvent,
    Validation,
)
from colonnade.v1.usage_pb2 import Money, Usage


def fold(events: list[TurnEvent]) -> Answer:
    folded = AnswerFold()
    for event in events:
        folded.add(event)
    return folded.answer()


def test_a_whole_turn() -> None:
    answer = fold(whole_turn(["Ids ", "are ", "kept."]))
    assert answer.text == "Ids are kept."
    assert answer.complete
    assert not answer.refused
    assert (answer.turn_id, answer.request_id, answer.run) == (TURN, "r-1", 1)
    assert (answer.validation, answer.answered_by) == ("REPAIRED", "REPAIR")
    assert (answer.finish_reason, answer.model) == ("STOP", "smollm2")
    assert answer.cost == Cost(Decimal("0.00042"), "USD")
    assert str(answer.cost) == "0.00042 USD"
    assert answer.usage == Usage(prompt_tokens=10, output_tokens=4)
    assert [chunk.chunk_id for chunk in answer.retrieved] == ["c-1"]
    assert answer.statement(answer.citations[0]) == "Ids"


def test_a_turn_that_is_fetched_gives_the_same_answer() -> None:
    events = whole_turn(["Ids are ", "kept."])
    turn = Turn(
        turn_id=TURN,
        request_id="r-1",
        state=TURN_STATE_FINISHED,
        run=1,
        answer=Message(parts=[Part(text="Ids are kept.")], citations=[cited(0, 3)]),
        finish_reason=FINISH_REASON_STOP,
        prompt_version="chat@1",
        model="smollm2",
        validation=validated(),
        usage=Usage(prompt_tokens=10, output_tokens=4),
        cost=Money(amount="0.00042", currency_code="USD"),
        latencies=Finished().latencies,
        retrieved=[RetrievedChunk(chunk_id="c-1", title="Limits", score=0.5)],
    )
    assert answer_of(turn) == fold(events)


def test_sources_are_numbered_and_each_told_once() -> None:
    events = numbered(
        [
            started(),
            text("One. Two. Three."),
            cited(0, 4, number=2, title="Security"),
            cited(5, 9, number=1),
            cited(10, 16, number=2, title="Security"),
        ]
    )
    assert [(s.number, s.title, s.uri) for s in fold(events).sources] == [
        (1, "Limits", "limits.md"),
        (2, "Security", "security.md"),
    ]


def test_statements_are_cut_by_bytes() -> None:
    answer = fold(numbered([started(), text("保存 24 小时。🙂 Ja."), cited(6, 19)]))
    assert answer.statement(answer.citations[0]) == " 24 小时。"


def test_what_is_retracted_is_replaced() -> None:
    events = numbered(
        [
            started(),
            text("Kept. "),
            cited(0, 4),
            text("Wrong "),
            cited(6, 11, number=2, title="Security"),
            text("again."),
            Retracted(from_sequence=4, replacement="Right.", reason="the model failed"),
            cited(6, 11, number=3, title="Errors"),
        ]
    )
    answer = fold(events)
    assert answer.text == "Kept. Right."
    assert [citation.number for citation in answer.citations] == [1, 3]


def test_a_replacement_can_be_taken_back_too() -> None:
    events = numbered(
        [
            started(),
            text("First."),
            Retracted(from_sequence=2, replacement="Second."),
            Retracted(from_sequence=3, replacement="Third."),
        ]
    )
    assert fold(events).text == "Third."


def test_another_run_voids_what_was_before() -> None:
    events = numbered([started(), found(), started(run=2), text("Yes.")])
    answer = fold(events)
    assert (answer.run, answer.text, answer.retrieved) == (2, "Yes.", ())


def test_reasoning_is_no_part_of_the_text() -> None:
    events = numbered([started(), Delta(reasoning="Hm. "), text("Yes."), Delta(reasoning="So.")])
    assert (fold(events).text, fold(events).reasoning) == ("Yes.", "Hm. So.")


def test_the_model_that_took_over_is_told() -> None:
    switched = ProviderSwitched(from_model="big", to_model="small")
    assert fold(numbered([started(), switched])).model == "small"


def test_kinds_of_events_that_are_not_known_change_nothing() -> None:
    assert fold([*numbered([started(), text("Yes.")]), TurnEvent(sequence=3)]).text == "Yes."


@pytest.mark.parametrize(
    ("body", "refused"),
    [
        (Finished(reason=FINISH_REASON_REFUSED), True),
        (Validation(status=Validation.STATUS_REFUSED), True),
        (finished(), False),
    ],
)
def test_a_refusal_is_an_answer(body: Finished | Validation, refused: bool) -> None:
    assert fold(numbered([started(), text("The documents don't say."), body])).refused is refused


def test_an_answer_that_was_cut_short_is_not_complete() -> None:
    assert not fold(numbered([started(), text("Ids are")])).complete
    cancelled = fold(numbered([started(), Finished(reason=FINISH_REASON_CANCELLED)]))
    assert (cancelled.complete, cancelled.finish_reason) == (False, "CANCELLED")


def test_a_name_newer_than_the_client_is_told_as_its_number() -> None:
    newer = Finished.FromString(b"\x08\x63")
    assert fold(numbered([started(), newer])).finish_reason == "99"


def test_a_failed_turn_tells_its_error() -> None:
    failed = Turn(state=TURN_STATE_FAILED, error=Status(code=5, message="no such model"))
    error = turn_error(failed)
    assert isinstance(error, NotFound)
    assert error.message == "no such model"
    assert turn_error(Turn(state=TURN_STATE_RUNNING)) is None
