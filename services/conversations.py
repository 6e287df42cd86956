"""Conversations: made, read, renamed, exported, deleted; each by its owner alone."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, replace

from core.call import Call
from core.canonical import digest
from core.clock import NewId
from core.conversations import Conversation, ConversationContent
from core.errors import BranchBusy, Conflict, NotFound, RequestIdReused
from core.identifiers import ConversationId, MessageId, RequestId
from core.messages import StoredMessage
from core.pages import Cursor, Page, PageRequest, malformed_token, page_of
from core.ports.state import State, Transaction

_EXPORT_PAGE = 200
_LONGEST_BRANCH = 10_000


@dataclass(frozen=True, slots=True)
class ConversationChange:
    """What to change; None leaves a field. `etag` "" overwrites whatever is there."""

    title: str | None = None
    labels: Mapping[str, str] | None = None
    etag: str = ""


class Conversations:
    """A conversation of another user, or another tenant, does not exist."""

    def __init__(self, state: State, new_id: NewId) -> None:
        self._state = state
        self._new_id = new_id

    async def create(
        self, call: Call, content: ConversationContent, request_id: RequestId
    ) -> Conversation:
        """A new, empty conversation; the same `request_id` gives what the first call made.

        Raises RequestIdReused where that call said something else.
        """
        id = self._id_for(call, request_id)
        async with self._state.transaction(call.principal.tenant) as tx:
            known = await tx.conversations.get(id)
            if known is not None:
                return _same(known, content, request_id)
            made = Conversation(
                id=id,
                owner=call.principal.user,
                title=content.title,
                created_at=tx.now,
                updated_at=tx.now,
                labels=content.labels,
                etag=self._new_id("etag"),
            )
            tx.conversations.insert(made)
        return made

    def _id_for(self, call: Call, request_id: RequestId) -> ConversationId:
        """A fresh id, or the one that this caller's request id always leads to."""
        if not request_id:
            return ConversationId(self._new_id("conv"))
        name = digest([call.principal.tenant, call.principal.user, request_id])
        return ConversationId(f"conv_{name[:32]}")

    async def get(self, call: Call, id: ConversationId) -> Conversation:
        """The conversation, or NotFound."""
        async with self._state.snapshot(call.principal.tenant) as view:
            return await _owned(view, call, id)

    async def list(self, call: Call, page: PageRequest) -> Page[Conversation]:
        """The caller's own, newest update first."""
        async with self._state.snapshot(call.principal.tenant) as view:
            rows = await view.conversations.list(call.principal.user, page.size + 1, page.after)
        return page_of(rows, page, lambda c: Cursor(c.updated_at.isoformat(), c.id))

    async def update(
        self, call: Call, id: ConversationId, change: ConversationChange
    ) -> Conversation:
        """The changed conversation. Raises Conflict where `etag` is not the current one."""
        async with self._state.transaction(call.principal.tenant) as tx:
            known = await _owned(tx, call, id)
            if change.etag and change.etag != known.etag:
                raise Conflict(
                    "the conversation has changed since it was read; read it again and repeat",
                    name=id,
                )
            changed = replace(
                known,
                title=known.title if change.title is None else change.title,
                labels=known.labels if change.labels is None else change.labels,
                updated_at=tx.now,
                etag=self._new_id("etag"),
            )
            tx.conversations.update(changed)
        return changed

    async def delete(self, call: Call, id: ConversationId, *, allow_missing: bool) -> None:
        """Delete it with its messages and turns. Raises BranchBusy while a turn of it runs."""
        async with self._state.transaction(call.principal.tenant) as tx:
            try:
                await _owned(tx, call, id)
            except NotFound:
                if allow_missing:
                    return
                raise
            busy = await tx.turns.any_busy(id)
            if busy is not None:
                raise BranchBusy(
                    "a turn of this conversation still runs; cancel it, then delete again",
                    turn_id=busy,
                )
            tx.conversations.delete(id)

    async def branch(
        self, call: Call, id: ConversationId, leaf: MessageId | None, page: PageRequest
    ) -> Page[StoredMessage]:
        """The messages from the root to `leaf` (None: the head), oldest first."""
        async with self._state.snapshot(call.principal.tenant) as view:
            conversation = await _owned(view, call, id)
            head = leaf or conversation.head
            if head is None:
                return Page((), "")
            if await view.conversations.message(id, head) is None:
                raise NotFound("message", head)
            rows = await view.conversations.branch(id, head, _LONGEST_BRANCH)
        start = 0
        if page.after is not None:
            ids: list[str] = [message.id for message in rows]
            if page.after.id not in ids:
                raise malformed_token()
            start = ids.index(page.after.id) + 1
        return page_of(rows[start:], page, _message_cursor, _weight)

    async def messages(
        self, call: Call, id: ConversationId, page: PageRequest
    ) -> Page[StoredMessage]:
        """All branches' messages, oldest first."""
        async with self._state.snapshot(call.principal.tenant) as view:
            await _owned(view, call, id)
            rows = await view.conversations.messages(id, page.size + 1, page.after)
        return page_of(rows, page, _message_cursor, _weight)

    async def export(
        self, call: Call, id: ConversationId
    ) -> AsyncGenerator[Sequence[StoredMessage], None]:
        """Every message, oldest first, page by page, as of one moment."""
        async with self._state.snapshot(call.principal.tenant) as view:
            await _owned(view, call, id)
            after: Cursor | None = None
            while True:
                rows = await view.conversations.messages(id, _EXPORT_PAGE, after)
                if rows:
                    yield rows
                    after = _message_cursor(rows[-1])
                if len(rows) < _EXPORT_PAGE:
                    return


async def _owned(tx: Transaction, call: Call, id: ConversationId) -> Conversation:
    conversation = await tx.conversations.get(id)
    if conversation is None or conversation.owner != call.principal.user:
        raise NotFound("conversation", id)
    return conversation


def _message_cursor(message: StoredMessage) -> Cursor:
    return Cursor(message.created_at.isoformat(), message.id)


def _weight(message: StoredMessage) -> int:
    """About how many bytes it takes in a message of the contract."""
    parts = sum(len(str(part).encode("utf-8", "replace")) for part in message.message.parts)
    return parts + sum(200 + len(c.quote.encode("utf-8", "replace")) for c in message.citations)


def _same(known: Conversation, content: ConversationContent, request_id: RequestId) -> Conversation:
    same = known.title == content.title and dict(known.labels) == dict(content.labels)
    if known.updated_at == known.created_at and not same:
        raise RequestIdReused(
            "this request_id made a conversation with another title or other labels",
            request_id=request_id,
        )
    return known
