"""Resource names from the short ids that people write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from colonnade.v1.messages_pb2 import ROLE_USER, Message, Part
from colonnade.v1.retrieval_pb2 import Filter


def collection_name(id: str) -> str:
    """`collections/{id}`; what is a resource name already stays as it is."""
    return _named("collections", id)


def conversation_name(id: str) -> str:
    """`conversations/{id}`; what is a resource name already stays as it is."""
    return _named("conversations", id)


def message_name(conversation: str, id: str) -> str:
    """`conversations/{conversation}/messages/{id}`; a resource name stays as it is."""
    return _named(f"{conversation_name(conversation)}/messages", id)


def _named(parent: str, id: str) -> str:
    return id if not id or "/" in id else f"{parent}/{id}"


def user_message(message: str | Message) -> Message:
    """A plain text as a message of the user."""
    if isinstance(message, Message):
        return message
    return Message(role=ROLE_USER, parts=[Part(text=message)])


def document_filter(where: Mapping[str, str | Sequence[str]] | None) -> Filter | None:
    """The documents whose attributes have one of the given values, each attribute."""
    if not where:
        return None
    return Filter(
        conditions=[
            Filter.Condition(
                attribute=attribute, values=[values] if isinstance(values, str) else values
            )
            for attribute, values in where.items()
        ]
    )
