"""Conversations: trees of messages, one branch of which is read at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass as checked

from core.checking import QUIET
from core.identifiers import ConversationId, MessageId, TenantId, UserId
from core.messages import StoredMessage

Label = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]


@checked(frozen=True, slots=True, config=QUIET)
class ConversationContent:
    """What a caller says of a conversation: the limits are those of the contract."""

    title: Annotated[str, Field(max_length=200)] = ""
    labels: Annotated[
        Mapping[Label, Annotated[str, Field(max_length=256)]], Field(max_length=32)
    ] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation's own row. `head` is the last message of the branch that goes on by default.

    `etag` changes with every change of title and labels, so that a stale writer is told.
    """

    id: ConversationId
    owner: UserId
    title: str
    created_at: datetime
    updated_at: datetime
    head: MessageId | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    etag: str = ""


@dataclass(frozen=True, slots=True)
class Head:
    """The end of a conversation's branch that goes on by default, and whose it is.

    `busy`: a turn runs or waits there.
    """

    tenant: TenantId
    owner: UserId
    head: MessageId | None
    busy: bool


def branch(
    messages: Mapping[MessageId, StoredMessage], head: MessageId | None
) -> tuple[StoredMessage, ...]:
    """The messages from the root to `head`, oldest first.

    Stops at a parent that `messages` does not hold (trimmed history), and at a cycle, which no
    writer can make but a damaged store could hold.
    """
    path: list[StoredMessage] = []
    seen: set[MessageId] = set()
    while head is not None and head in messages and head not in seen:
        seen.add(head)
        path.append(messages[head])
        head = messages[head].parent
    return tuple(reversed(path))
