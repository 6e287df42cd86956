"""Turns in a conversation: question and answer stored, the head moved, branches kept apart."""

from __future__ import annotations

import asyncio

import pytest

from core.errors import BranchBusy, NotFound
from core.generation import ModelError, ModelErrorKind
from core.identifiers import MessageId
from core.messages import Role
from core.ports.state import State
from core.turns.events import Started
from fakes.language_model import Fail, Hang, script, words
from fakes.turn_node import a_model, a_request, turn_node
from fakes.turn_readers import reading
from services.conversations import Conversations
from services.turns.claims import ROOT

DOWN = ModelError(ModelErrorKind.OVERLOADED, "down")


async def test_question_and_answer_are_stored_and_the_head_moves(state: State) -> None:
    async with turn_node(state, [a_model(script("Fine."), script("Yes."))]) as node:
        talk = await node.converse()
        first = await node.ask("How are you?", conversation=talk)
        second = await node.ask("Really?", conversation=talk)
        messages = await node.said(talk)
        assert [(m.message.role, m.message.text) for m in messages] == [
            (Role.USER, "How are you?"),
            (Role.ASSISTANT, "Fine."),
            (Role.USER, "Really?"),
            (Role.ASSISTANT, "Yes."),
        ]
        assert [m.parent for m in messages] == [None, *(m.id for m in messages[:-1])]
        assert [m.turn for m in messages] == [first.turn] * 2 + [second.turn] * 2
        assert (messages[1].model, messages[1].partial) == ("strong", False)
        assert (await node.conversation(talk)).head == messages[-1].id


async def test_the_events_name_what_was_stored(state: State) -> None:
    async with turn_node(state) as node:
        talk = await node.converse()
        read = await node.ask("Hi", conversation=talk)
        question, answer = await node.said(talk)
        started, finished = read.transcript.started, read.transcript.finished
        assert isinstance(started, Started)
        assert finished is not None
        assert (started.conversation, started.user_message) == (talk, question.id)
        assert (finished.conversation, finished.message) == (talk, answer.id)


async def test_the_question_is_there_before_its_answer(state: State) -> None:
    async with turn_node(state, [a_model(script(Hang()))]) as node:
        talk = await node.converse()
        with reading(node.stream(a_request("Hi", conversation=talk))) as reader:
            turn = (await reader.until(1)).turn
            assert [m.message.text for m in await node.said(talk)] == ["Hi"]
            await node.cancel(turn)
            await reader.end()
        assert [m.message.text for m in await node.said(talk)] == ["Hi"]
        assert (await node.conversation(talk)).head is None


async def test_a_failed_question_does_not_stand_before_the_next_one(state: State) -> None:
    model = a_model(script(Fail(DOWN)), script("Fine."))
    async with turn_node(state, [model]) as node:
        talk = await node.converse()
        await node.ask("lost", conversation=talk)
        read = await node.ask("How are you?", conversation=talk)
        assert read.error is None
        said = [message.text for message in model.calls[-1].request.messages]
        assert said == ["Be brief.", "How are you?"]


async def test_another_answer_to_an_earlier_message_is_a_branch(state: State) -> None:
    model = a_model(script("one"), script("two"), script("other"))
    async with turn_node(state, [model]) as node:
        talk = await node.converse()
        await node.ask("first", conversation=talk)
        answer = (await node.said(talk))[-1].id
        await node.ask("second", conversation=talk)
        await node.ask("instead", conversation=talk, parent_message=answer)
        said = [message.text for message in model.calls[-1].request.messages]
        assert said == ["Be brief.", "first", "one", "instead"]
        children = [m.message.text for m in await node.said(talk) if m.parent == answer]
        assert children == ["second", "instead"]


async def test_two_branches_run_at_once_and_one_branch_does_not(state: State) -> None:
    async with turn_node(state, [a_model(words("a b c", pause=0.1))]) as node:
        talk = await node.converse()
        await node.ask("first", conversation=talk)
        head = (await node.conversation(talk)).head
        reads = await asyncio.gather(
            node.ask("x", conversation=talk),
            node.ask("y", conversation=talk, parent_message=head),
            node.ask("z", conversation=talk, parent_message=ROOT),
        )
        same_branch = [read.error for read in reads[:2]]
        assert sum(isinstance(error, BranchBusy) for error in same_branch) == 1
        assert same_branch.count(None) == 1
        assert reads[2].error is None


async def test_a_message_of_another_conversation_is_no_parent(state: State) -> None:
    async with turn_node(state) as node:
        one, two = await node.converse("one"), await node.converse("two")
        await node.ask("Hi", conversation=one)
        foreign = (await node.said(one))[-1].id
        read = await node.ask("Hi", conversation=two, parent_message=foreign)
        assert isinstance(read.error, NotFound)
        assert await node.said(two) == []
        gone = await node.ask("Hi", conversation=two, parent_message=MessageId("msg_0"))
        assert isinstance(gone.error, NotFound)


async def test_a_conversation_with_a_running_turn_is_not_deleted(state: State) -> None:
    async with turn_node(state, [a_model(words("a b", pause=0.1))]) as node:
        conversations = Conversations(state, lambda prefix: f"{prefix}-1")
        talk = await node.converse()
        with reading(node.stream(a_request("Hi", conversation=talk, request_id="r1"))) as reader:
            turn = (await reader.until(1)).turn
            with pytest.raises(BranchBusy) as refused:
                await conversations.delete(node.call(), talk, allow_missing=False)
            assert refused.value.metadata == {"turn_id": turn}
            await reader.end()
        await conversations.delete(node.call(), talk, allow_missing=False)
        assert isinstance((await node.resume(turn)).error, NotFound)
        assert len(await node.ledger(turn)) == 1  # what was spent was spent
        again = await node.ask("Hi", conversation=talk, request_id="r1")
        assert isinstance(again.error, NotFound)
