"""Conversations and messages in every store."""

from __future__ import annotations

from dataclasses import replace

import pytest

from contracts.state_samples import (
    ACME,
    ANN,
    NOON,
    TALK,
    a_conversation,
    a_message,
    a_turn_on,
    an_execution,
    events,
    later,
)
from core.conversations import Conversation
from core.errors import InvalidInput
from core.identifiers import ConversationId, MessageId, TurnId, UserId
from core.messages import (
    ImagePart,
    Message,
    Role,
    StoredMessage,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from core.pages import Cursor
from core.ports.state import EVERY_TENANT, State, StoreConflict

BOB = UserId("bob")
ELSE = ConversationId("else")


async def keep(state: State, *rows: Conversation | StoredMessage) -> None:
    async with state.transaction(ACME) as tx:
        for row in rows:
            if isinstance(row, Conversation):
                tx.conversations.insert(row)
            else:
                tx.conversations.add_message(row)


async def stored(state: State, id: ConversationId = TALK) -> Conversation | None:
    async with state.snapshot(ACME) as tx:
        return await tx.conversations.get(id)


async def page(state: State, limit: int, after: Cursor | None = None) -> list[str]:
    async with state.snapshot(ACME) as tx:
        return [row.id for row in await tx.conversations.list(ANN, limit, after)]


async def message_page(state: State, limit: int, after: Cursor | None = None) -> list[str]:
    async with state.snapshot(ACME) as tx:
        return [row.id for row in await tx.conversations.messages(TALK, limit, after)]


async def branch(state: State, head: str, limit: int = 100) -> list[str]:
    async with state.snapshot(ACME) as tx:
        return [row.id for row in await tx.conversations.branch(TALK, MessageId(head), limit)]


class TestConversation:
    async def test_comes_back_as_it_was(self, state: State) -> None:
        full = replace(
            a_conversation(),
            title="Übersicht 🗺",
            head=MessageId("m1"),
            labels={"b": "2", "a": "1"},
        )
        await keep(state, full)
        assert await stored(state) == full

    async def test_an_update_replaces_it(self, state: State) -> None:
        await keep(state, a_conversation())
        changed = replace(a_conversation(), title="New", head=MessageId("m"), etag="2")
        async with state.transaction(ACME) as tx:
            tx.conversations.update(changed)
            tx.conversations.update(a_conversation("unknown"))
        assert await stored(state) == changed
        assert await stored(state, ConversationId("unknown")) is None

    async def test_an_id_is_taken_once(self, state: State) -> None:
        await keep(state, a_conversation())
        with pytest.raises(StoreConflict):
            await keep(state, replace(a_conversation(), title="other"))


class TestList:
    async def test_newest_update_first_ties_by_id_a_page_at_a_time(self, state: State) -> None:
        await keep(
            state,
            a_conversation("b", updated=1),
            a_conversation("a", updated=1),
            a_conversation("old", updated=-1.5),
            a_conversation("new", updated=2.000001),
            a_conversation("c", updated=1),
            a_conversation("foreign", owner=BOB),
        )
        assert await page(state, 10) == ["new", "a", "b", "c", "old"]
        assert await page(state, 2) == ["new", "a"]
        assert await page(state, 2, Cursor(later(1).isoformat(), "a")) == ["b", "c"]
        assert await page(state, 2, Cursor(later(1).isoformat(), "c")) == ["old"]
        assert await page(state, 2, Cursor(later(-1.5).isoformat(), "old")) == []

    @pytest.mark.parametrize("key", ["file:///guide.md", "", "2026-03-01T12:00:00"])
    async def test_a_cursor_of_another_list_is_refused(self, state: State, key: str) -> None:
        for read in (page, message_page):
            with pytest.raises(InvalidInput):
                await read(state, 2, Cursor(key, "x"))


class TestMessages:
    @pytest.mark.parametrize(
        "part",
        [
            TextPart(""),
            TextPart('"quoted"\n\u2028 中文 🎉'),
            ImagePart("https://example.org/a.png", "image/png"),
            ToolCallPart("call-1", "search", '{"q": "x"}'),
            ToolResultPart("call-1", "no such host", is_error=True),
            ToolResultPart("call-1", "found"),
        ],
        ids=lambda part: type(part).__name__,
    )
    @pytest.mark.parametrize("role", Role, ids=lambda role: role.value)
    async def test_come_back_as_they_were(self, state: State, part: TextPart, role: Role) -> None:
        full = StoredMessage(
            MessageId("m"),
            TALK,
            MessageId("parent"),
            Message(role, (part, TextPart("and more"))),
            NOON,
            TurnId("turn-1"),
            partial=True,
        )
        await keep(state, a_conversation(), full)
        async with state.snapshot(ACME) as tx:
            assert await tx.conversations.message(TALK, full.id) == full

    async def test_one_is_found_in_its_own_conversation_only(self, state: State) -> None:
        await keep(state, a_conversation(), a_conversation("else"), a_message("m"))
        async with state.snapshot(ACME) as tx:
            assert await tx.conversations.message(TALK, MessageId("m")) == a_message("m")
            assert await tx.conversations.message(ELSE, MessageId("m")) is None
            assert await tx.conversations.branch(ELSE, MessageId("m"), 10) == ()
            assert await tx.conversations.messages(ELSE, 10, None) == []

    async def test_an_id_is_taken_once(self, state: State) -> None:
        await keep(state, a_conversation(), a_message("m"))
        with pytest.raises(StoreConflict):
            await keep(state, a_message("m", at=1))

    async def test_none_is_added_to_a_conversation_that_is_gone(self, state: State) -> None:
        with pytest.raises(StoreConflict):
            await keep(state, a_message("m"))
        await keep(state, a_conversation())
        assert await message_page(state, 10) == []

    async def test_all_branches_oldest_first_a_page_at_a_time(self, state: State) -> None:
        await keep(
            state,
            a_conversation(),
            a_message("b", at=1),
            a_message("a", at=1),
            a_message("late", "a", at=2),
            a_message("early", at=0.5),
        )
        assert await message_page(state, 10) == ["early", "a", "b", "late"]
        assert await message_page(state, 2) == ["early", "a"]
        assert await message_page(state, 2, Cursor(later(1).isoformat(), "a")) == ["b", "late"]
        assert await message_page(state, 2, Cursor(later(2).isoformat(), "late")) == []


class TestBranch:
    async def test_goes_from_the_head_upwards_and_is_read_downwards(self, state: State) -> None:
        await keep(
            state,
            a_conversation(),
            a_message("q1"),
            a_message("a1", "q1"),
            a_message("other", "q1"),
            a_message("q2", "a1"),
        )
        assert await branch(state, "q2") == ["q1", "a1", "q2"]
        assert await branch(state, "other") == ["q1", "other"]
        assert await branch(state, "q2", limit=2) == ["a1", "q2"]
        assert await branch(state, "unknown") == []

    async def test_ends_at_a_parent_that_is_not_there_and_at_a_cycle(self, state: State) -> None:
        await keep(
            state,
            a_conversation(),
            a_message("orphan", "gone"),
            a_message("x", "y"),
            a_message("y", "x"),
        )
        assert await branch(state, "orphan") == ["orphan"]
        assert sorted(await branch(state, "x")) == ["x", "y"]

    async def test_may_be_long(self, state: State) -> None:
        parents = [None, *(f"m{number}" for number in range(999))]
        await keep(
            state,
            a_conversation(),
            *(a_message(f"m{number}", parent) for number, parent in enumerate(parents)),
        )
        assert await branch(state, "m999", 1000) == [f"m{number}" for number in range(1000)]


class TestDelete:
    async def test_takes_messages_turns_and_logs_with_it(self, state: State) -> None:
        await keep(state, a_conversation(), a_conversation("else"), a_message("m"))
        async with state.transaction(ACME) as tx:
            tx.conversations.add_message(a_message("kept", conversation=ELSE))
            for turn in (a_turn_on(None), replace(a_turn_on(None, "turn-2"), conversation=ELSE)):
                tx.turns.insert(turn)
                tx.events.append(turn, events(1, 2))
                tx.spending.record(an_execution(turn.id))
        async with state.transaction(ACME) as tx:
            tx.conversations.delete(TALK)
        async with state.snapshot(EVERY_TENANT) as tx:
            assert await tx.conversations.get(TALK) is None
            assert await tx.conversations.messages(TALK, 10, None) == []
            assert await tx.turns.get(TurnId("turn-1")) is None
            assert await tx.events.read(TurnId("turn-1"), 0, 10) == []
            assert await tx.spending.execution(TurnId("turn-1")) is None
            assert len(await tx.conversations.messages(ELSE, 10, None)) == 1
            assert await tx.turns.get(TurnId("turn-2")) is not None
            assert len(await tx.events.read(TurnId("turn-2"), 0, 10)) == 2
            assert await tx.spending.execution(TurnId("turn-2")) is not None

    async def test_of_an_unknown_one_changes_nothing(self, state: State) -> None:
        await keep(state, a_conversation(), a_message("m"))
        async with state.transaction(ACME) as tx:
            tx.conversations.delete(ELSE)
        assert await message_page(state, 10) == ["m"]
