"""Resource names, such as `conversations/{conversation}`, to ids and back; and callers' own ids."""

from __future__ import annotations

import re

from adapters.grpc.violations import check
from core.errors import InvalidInput
from core.identifiers import CollectionName, ConversationId, DocumentId, MessageId, RequestId
from core.request_ids import request_id_violations

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.~-]{0,127}")
_COLLECTION = re.compile(r"[a-z](?:[a-z0-9-]{0,62}[a-z0-9])?")


def conversation_name(id: ConversationId | None) -> str:
    """`conversations/{id}`; "" for none."""
    return f"conversations/{id}" if id else ""


def message_name(conversation: ConversationId | None, id: MessageId | None) -> str:
    """`conversations/{conversation}/messages/{id}`; "" where one of them lacks."""
    return f"conversations/{conversation}/messages/{id}" if conversation and id else ""


def collection_name(name: CollectionName | None) -> str:
    """`collections/{name}`; "" for none."""
    return f"collections/{name}" if name else ""


def document_name(collection: CollectionName | None, id: DocumentId) -> str:
    """`collections/{collection}/documents/{id}`."""
    return f"collections/{collection}/documents/{id}" if collection else ""


def conversation_id(name: str, field: str) -> ConversationId:
    """The id in a conversation's name. Raises InvalidInput at `field`."""
    return ConversationId(_parts(name, field, "conversations/{conversation}")[0])


def message_id(name: str, field: str) -> tuple[ConversationId, MessageId]:
    """The ids in a message's name. Raises InvalidInput at `field`."""
    pattern = "conversations/{conversation}/messages/{message}"
    conversation, message = _parts(name, field, pattern)
    return ConversationId(conversation), MessageId(message)


def collection_id(name: str, field: str) -> CollectionName:
    """The id in a collection's name. Raises InvalidInput at `field`."""
    return checked_collection(_parts(name, field, "collections/{collection}")[0], field)


def checked_collection(id: str, field: str) -> CollectionName:
    """A collection's id as a caller gave it. Raises InvalidInput at `field`."""
    if not _COLLECTION.fullmatch(id):
        raise InvalidInput.at(
            field,
            "must be 1 to 64 characters of a-z, 0-9 and hyphens, a letter first, no hyphen last",
        )
    return CollectionName(id)


def document_id(name: str, field: str) -> tuple[CollectionName, DocumentId]:
    """The ids in a document's name. Raises InvalidInput at `field`."""
    pattern = "collections/{collection}/documents/{document}"
    collection, document = _parts(name, field, pattern)
    return checked_collection(collection, field), DocumentId(document)


def request_id(value: str) -> RequestId:
    """A caller's idempotency key; "" for none. Raises InvalidInput at `request_id`."""
    check(request_id_violations(value))
    return RequestId(value)


def _parts(name: str, field: str, pattern: str) -> list[str]:
    """The variable parts of a name that follows the pattern."""
    wanted, given = pattern.split("/"), name.split("/")
    ids = [g for w, g in zip(wanted, given, strict=False) if w.startswith("{")]
    fixed = all(w == g for w, g in zip(wanted, given, strict=False) if not w.startswith("{"))
    if len(wanted) != len(given) or not fixed or not all(_ID.fullmatch(id) for id in ids):
        raise InvalidInput.at(field, f"must be a resource name of the form {pattern}")
    return ids
