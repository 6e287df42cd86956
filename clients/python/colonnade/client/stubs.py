"""The generated stubs of one channel, for all that this client has no method for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc

from colonnade.v1.admin_pb2_grpc import AdminServiceStub
from colonnade.v1.chat_pb2_grpc import ChatServiceStub
from colonnade.v1.conversations_pb2_grpc import ConversationServiceStub
from colonnade.v1.knowledge_pb2_grpc import KnowledgeServiceStub
from colonnade.v1.models_pb2_grpc import ModelServiceStub
from colonnade.v1.retrieval_pb2_grpc import RetrievalServiceStub

if TYPE_CHECKING:
    from colonnade.v1.admin_pb2_grpc import AdminServiceAsyncStub
    from colonnade.v1.chat_pb2_grpc import ChatServiceAsyncStub
    from colonnade.v1.conversations_pb2_grpc import ConversationServiceAsyncStub
    from colonnade.v1.knowledge_pb2_grpc import KnowledgeServiceAsyncStub
    from colonnade.v1.models_pb2_grpc import ModelServiceAsyncStub
    from colonnade.v1.retrieval_pb2_grpc import RetrievalServiceAsyncStub


@dataclass(frozen=True, slots=True)
class Stubs:
    """One stub a service. Pass `metadata=client.metadata`, and a timeout, with each call."""

    chat: ChatServiceStub
    conversations: ConversationServiceStub
    knowledge: KnowledgeServiceStub
    models: ModelServiceStub
    retrieval: RetrievalServiceStub
    admin: AdminServiceStub

    @classmethod
    def of(cls, channel: grpc.Channel) -> Stubs:
        """Stubs that call through `channel`."""
        return cls(
            ChatServiceStub(channel),
            ConversationServiceStub(channel),
            KnowledgeServiceStub(channel),
            ModelServiceStub(channel),
            RetrievalServiceStub(channel),
            AdminServiceStub(channel),
        )


@dataclass(frozen=True, slots=True)
class AsyncStubs:
    """One stub a service. Pass `metadata=client.metadata`, and a timeout, with each call."""

    chat: ChatServiceAsyncStub
    conversations: ConversationServiceAsyncStub
    knowledge: KnowledgeServiceAsyncStub
    models: ModelServiceAsyncStub
    retrieval: RetrievalServiceAsyncStub
    admin: AdminServiceAsyncStub

    @classmethod
    def of(cls, channel: grpc.aio.Channel) -> AsyncStubs:
        """Stubs that call through `channel`."""
        return cls(
            ChatServiceStub(channel),
            ConversationServiceStub(channel),
            KnowledgeServiceStub(channel),
            ModelServiceStub(channel),
            RetrievalServiceStub(channel),
            AdminServiceStub(channel),
        )
