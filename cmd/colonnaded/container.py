"""The list of what a node is made of, and what each part is given."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator

from dependency_injector import containers, providers
from google.protobuf.descriptor import ServiceDescriptor

from adapters.grpc.admin import AdminServicer
from adapters.grpc.chain import Chain
from adapters.grpc.chat import ChatServicer
from adapters.grpc.codec import ProtobufCodec
from adapters.grpc.conversations import ConversationServicer
from adapters.grpc.gateway import ModelGatewayServicer
from adapters.grpc.knowledge import KnowledgeServicer
from adapters.grpc.models import ModelServicer
from adapters.grpc.retrieval import RetrievalServicer
from adapters.grpc.server import GrpcServer
from adapters.telemetry.measured_log import MeasuredLog
from colonnade.v1 import (
    admin_pb2,
    chat_pb2,
    conversations_pb2,
    gateway_pb2,
    knowledge_pb2,
    models_pb2,
    retrieval_pb2,
)
from colonnaded import caches as shared
from colonnaded import gateway_policies, policies
from colonnaded.data_directory import DataDirectory, data_directory
from colonnaded.identity import boottime, new_boot_id, new_id, system_clock
from colonnaded.openers.bus import open_bus
from colonnaded.openers.documents import open_document_reader
from colonnaded.openers.embedders import open_embedders
from colonnaded.openers.indexes import open_keyword_index, open_vector_index
from colonnaded.openers.mesh import open_gateway_client, open_reranking_client
from colonnaded.openers.metrics import make_metrics, open_metrics_page
from colonnaded.openers.models import ModelOpener, open_deployments
from colonnaded.openers.prompts import open_prompts
from colonnaded.openers.rerankers import open_rerankers
from colonnaded.openers.state import open_state
from colonnaded.reloading import Reloading
from colonnaded.settings import Settings
from core.retrieval.fusion import FusionPolicy
from services.authentication import Authenticator
from services.budget_operations import BudgetOperations
from services.chat.answering import Answering
from services.chat.chat import Chat
from services.configuration import Configuration
from services.context import ContextBuilder
from services.conversations import Conversations
from services.indexing import IndexFollower
from services.ingestion.ingestion import Ingestion
from services.ingestion.preparing import Preparing
from services.knowledge import Knowledge
from services.models.attempts import Attempts
from services.models.budget_accounts import BudgetAccounts
from services.models.caching import CachingGateway
from services.models.counting import DeploymentCounter
from services.models.embedding import Embedding, EmbeddingCache
from services.models.gateway import Gateway
from services.models.lanes import Lanes
from services.models.models import Models
from services.models.orphaned import OrphanedAttempts
from services.models.reranking import BookedReranking
from services.models.response_cache import ResponseCache
from services.models.spending import BudgetBook
from services.retrieval import Retrieval
from services.spending_report import SpendingReport
from services.turn_operations import TurnOperations
from services.turns.admission import Admission
from services.turns.replica import Replica
from services.turns.row_lease import RowLease
from services.turns.turns import Turns

CHAT = chat_pb2.DESCRIPTOR.services_by_name["ChatService"]
CONVERSATIONS = conversations_pb2.DESCRIPTOR.services_by_name["ConversationService"]
MODELS = models_pb2.DESCRIPTOR.services_by_name["ModelService"]
KNOWLEDGE = knowledge_pb2.DESCRIPTOR.services_by_name["KnowledgeService"]
RETRIEVAL = retrieval_pb2.DESCRIPTOR.services_by_name["RetrievalService"]
ADMIN = admin_pb2.DESCRIPTOR.services_by_name["AdminService"]
SERVICES: tuple[ServiceDescriptor, ...] = (
    CHAT,
    CONVERSATIONS,
    MODELS,
    KNOWLEDGE,
    RETRIEVAL,
    ADMIN,
)
"""What callers see."""
GATEWAY = gateway_pb2.DESCRIPTOR.services_by_name["ModelGatewayService"]
"""What the processes of an installation see of each other."""


async def _data_directory(settings: Settings) -> AsyncIterator[DataDirectory]:
    replicas, store = settings.server.replicas, settings.store_file
    async with data_directory(settings.data_dir, replicas=replicas, store=store) as data:
        yield data


class Container(containers.DeclarativeContainer):
    """Every adapter by the settings; tests override what they want to replace."""

    settings = providers.Dependency(instance_of=Settings)

    clock = providers.Singleton(system_clock)
    ids = providers.Object(new_id)
    boot = providers.Singleton(new_boot_id)
    codec = providers.Singleton(ProtobufCodec)
    log = providers.Singleton(policies.telemetry, settings)
    metrics = providers.Singleton(make_metrics, settings)
    telemetry = providers.Singleton(MeasuredLog, log, metrics)
    prompts = providers.Singleton(open_prompts, settings)

    data = providers.Resource(_data_directory, settings)
    state = providers.Resource(open_state, settings, data, log)
    bus = providers.Resource(open_bus, settings, log, metrics)
    vectors = providers.Resource(open_vector_index, data, state)
    keywords = providers.Resource(open_keyword_index, data, state)
    documents = providers.Resource(open_document_reader, settings)
    embedders = providers.Resource(open_embedders, settings)
    opener = providers.Singleton(ModelOpener, embedders, clock, metrics)
    snapshot = opener.provided.snapshot
    deployments = providers.Resource(open_deployments, settings, opener)
    gateway_client = providers.Resource(open_gateway_client, settings, clock)
    rerankers = providers.Resource(open_rerankers, settings, embedders)
    reranking_client = providers.Resource(open_reranking_client, settings, clock)

    indexes = providers.Singleton(IndexFollower, state, vectors, keywords)
    admission = providers.Singleton(Admission, providers.Factory(policies.turn_limits, settings))
    metrics_page = providers.Resource(open_metrics_page, settings, metrics, admission, log)
    replica = providers.Singleton(
        Replica,
        boot,
        clock,
        providers.Object(boottime),
        ids,
        providers.Object(random.random),
        bus,
        metrics,
    )
    turns = providers.Singleton(
        Turns,
        state,
        codec,
        replica,
        admission,
        deployments.provided.deployment,
        providers.Factory(policies.turn_timings, settings),
    )
    attempts = providers.Singleton(Attempts, state, turns.provided.hold_lease, turns.provided.ride)
    orphaned = providers.Singleton(
        OrphanedAttempts,
        state,
        deployments.provided.deployment,
        clock,
        settings.provided.server.max_deadline_seconds,
    )
    lanes = providers.Singleton(
        Lanes,
        clock,
        providers.Factory(gateway_policies.resilience_policy, settings),
        providers.Object(random.random),
    )
    budget_accounts = providers.Singleton(
        BudgetAccounts,
        state,
        clock,
        providers.Object(boottime),
        boot,
        bus,
        providers.Factory(gateway_policies.budget_notes, log, metrics),
    )
    budgets = providers.Singleton(
        BudgetBook, providers.Factory(gateway_policies.budget_rules, settings), budget_accounts
    )
    caches = providers.Singleton(shared.cache_store, settings, state, clock, metrics)
    stored_answers = providers.Singleton(shared.stored_answers, settings, caches, clock)
    stored_vectors = providers.Singleton(shared.stored_vectors, settings, caches)
    embedding = providers.Singleton(
        Embedding,
        embedders,
        attempts,
        providers.Singleton(EmbeddingCache, settings.provided.response_cache.max_embedding_bytes),
        ids,
        budgets,
        metrics,
        stored_vectors,
    )
    retrieval = providers.Singleton(
        Retrieval,
        state,
        vectors,
        keywords,
        embedders,
        indexes,
        clock,
        providers.Factory(FusionPolicy),
        paying=embedding.provided.on_behalf,
    )
    answers = providers.Singleton(
        ResponseCache,
        settings.provided.response_cache.max_bytes,
        settings.provided.response_cache.ttl_seconds,
        providers.Callable(shared.answers_about, settings),
    )
    gateway = providers.Singleton(
        CachingGateway,
        providers.Singleton(
            Gateway,
            deployments.provided.current,
            attempts,
            clock,
            lanes,
            budgets,
            metrics,
            turns.provided.tick,
        ),
        answers,
        clock,
        metrics,
        stored_answers,
    )
    far_attempts = providers.Singleton(
        Attempts, state, providers.Singleton(RowLease, state).provided.hold
    )
    far_gateway = providers.Singleton(
        CachingGateway,
        providers.Singleton(
            Gateway, deployments.provided.current, far_attempts, clock, lanes, budgets, metrics
        ),
        answers,
        clock,
        metrics,
        stored_answers,
    )
    reranking = providers.Singleton(
        BookedReranking, rerankers, attempts, clock, ids, budgets, metrics
    )
    counter = providers.Singleton(DeploymentCounter, deployments.provided.current)
    answering = providers.Singleton(
        Answering,
        state,
        gateway,
        retrieval,
        prompts,
        telemetry,
        clock,
        providers.Factory(policies.answering_policy, settings),
    )
    chat = providers.Singleton(Chat, turns, answering)
    turn_operations = providers.Singleton(TurnOperations, state, turns)
    spending_report = providers.Singleton(SpendingReport, state)
    budget_operations = providers.Singleton(BudgetOperations, state, budgets.provided.rules_now)
    conversations = providers.Singleton(Conversations, state, ids)
    knowledge = providers.Singleton(Knowledge, state, indexes, embedders)
    preparing = providers.Singleton(
        Preparing,
        documents,
        clock,
        ids,
        providers.Factory(policies.chunk_policy, settings),
        settings.provided.ingestion.timeout_seconds,
        sentence_vectors=settings.provided.retrieval.sentence_vectors,
    )
    ingestion = providers.Singleton(
        Ingestion,
        state,
        preparing,
        embedders,
        indexes,
        clock,
        providers.Factory(policies.ingest_limits, settings),
        paying=embedding.provided.on_behalf,
    )
    models = providers.Singleton(
        Models,
        state,
        gateway,
        deployments.provided.current,
        embedders,
        ids,
        lanes,
        embedding,
    )
    contexts = providers.Singleton(ContextBuilder, retrieval, counter)

    authenticator = providers.Singleton(
        Authenticator,
        state,
        clock,
        demo=providers.Factory(policies.demo_principal, settings),
    )
    chain = providers.Singleton(
        Chain,
        authenticator,
        telemetry,
        clock,
        ids,
        providers.Factory(policies.call_limits, settings),
    )
    configuration = providers.Singleton(
        Configuration, bus, providers.Callable(policies.reload_log, log)
    )
    reloading = providers.Singleton(
        Reloading, settings, snapshot, deployments, lanes, answers, budgets, admission, chain
    )
    servicers = providers.Dict(
        {
            CHAT: providers.Singleton(ChatServicer, chat),
            CONVERSATIONS: providers.Singleton(ConversationServicer, conversations),
            MODELS: providers.Singleton(ModelServicer, models, reranking, rerankers),
            KNOWLEDGE: providers.Singleton(KnowledgeServicer, knowledge, ingestion),
            RETRIEVAL: providers.Singleton(
                RetrievalServicer,
                retrieval,
                contexts,
                settings.provided.retrieval.default_collection,
            ),
            ADMIN: providers.Singleton(
                AdminServicer, turn_operations, configuration, budget_operations, spending_report
            ),
            GATEWAY: providers.Singleton(
                ModelGatewayServicer, far_gateway, counter, clock, reranking
            ),
        }
    )
    server = providers.Singleton(
        GrpcServer,
        servicers,
        chain,
        providers.Factory(policies.server_options, settings),
    )
