"""Conversations: made, read, renamed, exported, deleted; each by its owner alone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace

from core.call import Call
from core.clock import NewId
from core.conversations import Conversation
from core.errors import BranchBusy, Conflict, NotFound
from core.identifiers import ConversationId
from core.messages import StoredMessage
from core.pages import Cursor, Page, PageRequest, page_of
from core.ports.state import State, Transaction

_EXPORT_PAGE = 200


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
        self,
        call: Call,
        title: str,
        labels: Mapping[str, str],
        id: ConversationId | None = None,
    ) -> Conversation:
        """A new, empty conversation; the same `id` again gives what the first call made."""
        async with self._state.transaction(call.principal.tenant) as tx:
            if id is not None:
                known = await tx.conversations.get(id)
                if known is not None and known.owner == call.principal.user:
                    return known
            made = Conversation(
                id=id or ConversationId(self._new_id("conv")),
                owner=call.principal.user,
                title=title,
                created_at=tx.now,
                updated_at=tx.now,
                labels=labels,
                etag=self._new_id("etag"),
            )
            tx.conversations.insert(made)
        return made

    async def get(self, call: Call, id: ConversationId) -> Conversation:
        """The conversation, or NotFound."""
        async with self._state.snapshot(call.principal.tenant) as view:
            return await _owned(view, call, id)

    async def list(self, call: Call, page: PageRequest) -> Page[Conversation]:
        """The caller's own, newest update first."""
        async with self._state.snapshot(call.principal.tenant) as view:
            rows = await view.conversations.list(
                call.principal.user, page.size + 1, page.after
            )
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
                    etag=known.etag,
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

    async def delete(self, call: Call, id: ConversationId) -> None:
        """Delete it with its messages and turns. Raises BranchBusy while a turn of it runs."""
        async with self._state.transaction(call.principal.tenant) as tx:
            await _owned(tx, call, id)
            if await tx.turns.any_busy(id):
                raise BranchBusy(
                    "a turn of this conversation still runs; cancel it, then delete again"
                )
            tx.conversations.delete(id)

    async def messages(
        self, call: Call, id: ConversationId, page: PageRequest
    ) -> Page[StoredMessage]:
        """All branches' messages, oldest first."""
        async with self._state.snapshot(call.principal.tenant) as view:
            await _owned(view, call, id)
            rows = await view.conversations.messages(id, page.size + 1, page.after)
        return page_of(rows, page, lambda m: Cursor(m.created_at.isoformat(), m.id))

    async def export(
        self, call: Call, id: ConversationId
    ) -> AsyncIterator[Sequence[StoredMessage]]:
        """Every message, oldest first, page by page, as of one moment."""
        async with self._state.snapshot(call.principal.tenant) as view:
            await _owned(view, call, id)
            after: Cursor | None = None
            while True:
                rows = await view.conversations.messages(id, _EXPORT_PAGE, after)
                if rows:
                    yield rows
                    after = Cursor(rows[-1].created_at.isoformat(), rows[-1].id)
                if len(rows) < _EXPORT_PAGE:
                    return


async def _owned(tx: Transaction, call: Call, id: ConversationId) -> Conversation:
    conversation = await tx.conversations.get(id)
    if conversation is None or conversation.owner != call.principal.user:
        raise NotFound("conversation", id)
    return conversation
