"""Names of things. Ids are opaque strings; units that matter are named types."""

from __future__ import annotations

from typing import NewType

TenantId = NewType("TenantId", str)
UserId = NewType("UserId", str)
ApiKeyId = NewType("ApiKeyId", str)
CallId = NewType("CallId", str)
"""The server's own id of one RPC."""
RequestId = NewType("RequestId", str)
"""The caller's idempotency key."""
BootId = NewType("BootId", str)
"""One life of one process."""

ConversationId = NewType("ConversationId", str)
MessageId = NewType("MessageId", str)
TurnId = NewType("TurnId", str)
CollectionName = NewType("CollectionName", str)
DocumentId = NewType("DocumentId", str)
ChunkId = NewType("ChunkId", str)
DeploymentName = NewType("DeploymentName", str)
EmbedderName = NewType("EmbedderName", str)

Seconds = NewType("Seconds", float)
Position = NewType("Position", int)
"""A place in a collection's change log, from 1; 0 is before the first change."""
