"""One question, answered: what the caller reads, what is stored, what it cost."""

from __future__ import annotations

from decimal import Decimal

import pytest

from core.errors import InvalidInput, NotFound, Reason
from core.generation import GenerationOptions, ModelError, ModelErrorKind, StopCause, TokenUsage
from core.identifiers import RequestId, TurnId, UserId
from core.messages import Message, Role
from core.ports.state import State
from core.turns.events import AttemptUsed, Finished, Started
from core.turns.rows import EndReason, TurnState
from fakes.language_model import Fail, Finish, Think, Wait, script, words
from fakes.turn_node import a_model, a_request, turn_node
from fakes.turn_readers import read_all

CUT = ModelError(ModelErrorKind.CONNECTION, "the line went dead")


async def test_an_answer_streams_and_is_settled(state: State) -> None:
    model = a_model(script("Hello", Wait(0.1), " wörld", Wait(0.1), " 👋"))
    async with turn_node(state, [model]) as node:
        read = await node.ask("Hi", request_id="r1")
        started, *middle, finished = read.events
        assert isinstance(started, Started)
        assert isinstance(finished, Finished)
        assert (started.turn, started.run, started.request_id) == (read.turn, 1, "r1")
        assert [getattr(event, "text", None) for event in middle[:-1]] == ["Hello", " wörld", " 👋"]
        assert read.numbers == list(range(1, 7))
        assert finished.reason is EndReason.STOP
        assert finished.usage == TokenUsage(11, 3, 0, 0)
        assert finished.cost == Decimal("0.000014")
        assert not finished.estimated
        assert finished.latencies.total == pytest.approx(0.2, abs=0.03)
        row = await node.row(read.turn)
        assert (row.state, row.reason, row.next_seq) == (TurnState.FINISHED, EndReason.STOP, 7)
        assert b"".join(event.body for event in await node.log(read.turn)) == read.encoded


async def test_each_answer_is_booked_once_with_what_it_used(state: State) -> None:
    async with turn_node(state, [a_model(script("a", "b"))]) as node:
        read = await node.ask("Hi", feature="greeting")
        (line,) = await node.ledger(read.turn)
        assert (line.usage, line.cost) == (TokenUsage(11, 2, 0, 0), Decimal("0.000013"))
        assert (line.feature, line.model, line.estimated) == ("greeting", "strong-model", False)
        (attempt,) = await node.attempts(read.turn)
        assert attempt.booked
        used = next(event for event in read.events if isinstance(event, AttemptUsed))
        assert (used.usage, used.cost) == (line.usage, line.cost)
        record = await node.execution(read.turn)
        assert record is not None
        assert (record.reason, record.model_version) == ("STOP", "strong")
        assert record.prompt_version.startswith("chat@")


async def test_a_model_without_prices_costs_an_unknown_sum_not_nothing(state: State) -> None:
    async with turn_node(state, [a_model(price=None)]) as node:
        read = await node.ask("Hi")
        assert read.transcript.finished is not None
        assert read.transcript.finished.cost is None
        assert (await node.ledger(read.turn))[0].cost is None


async def test_chat_answers_with_the_settled_turn(state: State) -> None:
    async with turn_node(state, [a_model(words("All is well.", pause=0.05))]) as node:
        view = await node.chat.answer(node.call(), a_request("How is it?"))
        assert view.turn.state is TurnState.FINISHED
        assert view.transcript.text == "All is well."
        assert view.encoded_events == b""


async def test_the_same_bytes_are_read_again_later(state: State) -> None:
    async with turn_node(state, [a_model(words("one two three", pause=0.05))]) as node:
        first = await node.ask("count", request_id="r1")
        again = await node.get(first.turn, with_events=True)
        by_request = await node.chat.turn(
            node.call(), TurnId(""), RequestId("r1"), with_events=True
        )
        assert again.encoded_events == by_request.encoded_events == first.encoded
        assert (await node.resume(first.turn)).encoded == first.encoded


async def test_every_number_is_a_place_to_go_on_from(state: State) -> None:
    async with turn_node(state, [a_model(words("one two three", pause=0.05))]) as node:
        first = await node.ask("count")
        for after in range(len(first.numbers) + 1):
            rest = await node.resume(first.turn, after)
            assert rest.numbers == first.numbers[after:]
        beyond = await node.resume(first.turn, len(first.numbers) + 1)
        assert beyond.error is not None
        assert beyond.error.reason is Reason.TURN_LOG_LOST


async def test_thoughts_travel_apart_from_the_answer(state: State) -> None:
    async with turn_node(state, [a_model(script(Think("hm"), Think("m"), "Yes."))]) as node:
        read = await node.ask("Is it?")
        assert read.kinds == ["Started", "Reasoning", "Text", "AttemptUsed", "Finished"]
        assert (read.transcript.reasoning, read.text) == ("hmm", "Yes.")


@pytest.mark.parametrize(
    ("cause", "reason"),
    [
        (StopCause.LENGTH, EndReason.LENGTH),
        (StopCause.CONTENT_FILTER, EndReason.CONTENT_FILTER),
        (StopCause.STOP, EndReason.STOP),
    ],
)
async def test_a_truncated_answer_says_so(
    state: State, cause: StopCause, reason: EndReason
) -> None:
    async with turn_node(state, [a_model(script("Once upon a", Finish(cause)))]) as node:
        talk = await node.converse()
        read = await node.ask("A tale", conversation=talk)
        assert read.transcript.finished is not None
        assert read.transcript.finished.reason is reason
        assert (await node.said(talk))[-1].partial == (cause is not StopCause.STOP)


async def test_a_failure_in_mid_answer_is_told_after_the_last_event(state: State) -> None:
    async with turn_node(state, [a_model(script("Half", Wait(0.1), Fail(CUT)))]) as node:
        talk = await node.converse()
        read = await node.ask("Hi", conversation=talk)
        assert read.text == "Half"
        assert read.transcript.finished is None
        assert read.error is not None
        assert read.error.reason is Reason.MODELS_UNAVAILABLE
        assert read.error.metadata["rerunnable"] == "false"
        assert read.error.metadata["attempt:strong"] == "connection"
        row = await node.row(read.turn)
        assert (row.state, row.released, row.rerunnable) == (TurnState.FAILED, True, False)
        answer = (await node.said(talk))[-1]
        assert (answer.message.text, answer.partial) == ("Half", True)
        (line,) = await node.ledger(read.turn)
        assert line.estimated
        assert line.usage == TokenUsage(11, 2)
        again = await node.resume(read.turn, read.numbers[-1])
        assert again.error is not None
        assert again.error.reason is Reason.MODELS_UNAVAILABLE


async def test_the_log_line_of_a_call_has_what_it_needs(state: State) -> None:
    async with turn_node(state, [a_model(script("a", "b"))]) as node:
        call = node.call()
        await node.ask("Hi", call, request_id="r1")
        facts = call.facts
        assert (facts.request_id, facts.model_version, facts.token_count) == ("r1", "strong", 13)
        assert (facts.cost, facts.currency) == (Decimal("0.000013"), "USD")
        assert facts.prompt_version.startswith("chat@")
        assert not facts.attached


async def test_what_was_said_before_is_in_the_prompt(state: State) -> None:
    model = a_model(script("Fine."))
    async with turn_node(state, [model]) as node:
        talk = await node.converse()
        await node.ask("How are you?", conversation=talk)
        await node.ask("Really?", conversation=talk)
        said = [message.text for message in model.calls[-1].request.messages]
        assert said == ["Be brief.", "How are you?", "Fine.", "Really?"]
        await node.ask(
            "Now?",
            messages=(Message.of(Role.USER, "Then?"), Message.of(Role.ASSISTANT, "Then.")),
        )
        said = [message.text for message in model.calls[-1].request.messages]
        assert said == ["Be brief.", "Then?", "Then.", "Now?"]


async def test_options_reach_the_model_within_its_bounds(state: State) -> None:
    model = a_model(script("a"))
    async with turn_node(state, [model]) as node:
        await node.ask("Hi", options=GenerationOptions(temperature=0.5, max_output_tokens=7))
        options = model.calls[-1].request.options
        assert (options.temperature, options.max_output_tokens) == (0.5, 7)


async def test_what_is_wrong_is_said_before_anything_is_written(state: State) -> None:
    async with turn_node(state) as node:
        empty = await node.ask(" ", request_id="r1")
        assert isinstance(empty.error, InvalidInput)
        assert [violation.field for violation in empty.error.violations] == ["message.parts"]
        nowhere = await node.ask("Hi", request_id="r1", conversation="none")
        assert isinstance(nowhere.error, NotFound)
        assert (await node.ask("Hi", request_id="r1")).error is None  # the id is not burned


async def test_a_turn_of_somebody_else_does_not_exist(state: State) -> None:
    async with turn_node(state, [a_model(words("a b c", pause=0.1))]) as node:
        read = await node.ask("Hi", request_id="r1")
        bob = node.call(user=UserId("bob"))
        foreign = await node.resume(read.turn, 0, bob)
        assert isinstance(foreign.error, NotFound)
        for looking in (
            node.chat.turn(bob, read.turn, RequestId(""), with_events=False),
            node.chat.turn(bob, TurnId(""), RequestId("r1"), with_events=False),
            node.chat.cancel(bob, read.turn, RequestId("")),
        ):
            with pytest.raises(NotFound):
                await looking


async def test_one_who_reads_while_it_runs_cannot_be_a_stranger(state: State) -> None:
    async with turn_node(state, [a_model(words("a b c", pause=0.1))]) as node:
        call = node.call()
        stream = node.stream(a_request("Hi"), call)
        await anext(stream)
        bob = node.call(user=UserId("bob"))
        assert isinstance((await node.resume(call.facts.turn_id, 0, bob)).error, NotFound)
        assert (await read_all(stream)).text == "a b c"
