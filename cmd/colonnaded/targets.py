"""A node that hosts some services only: what it leaves closed, and whom it asks instead."""

from __future__ import annotations

from typing import Any

from dependency_injector import providers
from google.protobuf.descriptor import ServiceDescriptor

from colonnaded.container import (
    ADMIN,
    CHAT,
    CONVERSATIONS,
    GATEWAY,
    KNOWLEDGE,
    MODELS,
    RETRIEVAL,
    Container,
)
from colonnaded.mesh_settings import MeshSettings, Target
from colonnaded.openers.mesh import catalog_alone, open_catalog

_SERVICES: dict[ServiceDescriptor, Target | None] = {
    CHAT: Target.CHAT,
    CONVERSATIONS: Target.CHAT,
    MODELS: Target.MODELS,
    GATEWAY: Target.MODELS,
    KNOWLEDGE: Target.KNOWLEDGE,
    RETRIEVAL: Target.RETRIEVAL,
    ADMIN: None,
}
SEARCHING = (Target.CHAT, Target.RETRIEVAL, Target.KNOWLEDGE)
"""Whoever answers from documents searches them itself."""


def narrow(container: Container, mesh: MeshSettings) -> None:
    """Leave out of the container what the process does not host, before anything is opened."""
    _serve(container, mesh)
    if mesh.hosts(Target.MODELS):
        _leave_closed(container.gateway_client, container.reranking_client)
    else:
        container.deployments.override(
            providers.Resource(open_catalog, container.settings, container.gateway_client)
        )
        container.snapshot.override(providers.Object(catalog_alone))
        container.gateway.override(container.gateway_client)
        container.counter.override(container.gateway_client)
        container.reranking.override(container.reranking_client)
        _leave_closed(container.rerankers)
    if not mesh.hosts(*SEARCHING):
        _leave_closed(container.vectors, container.keywords)
    if not mesh.hosts(Target.KNOWLEDGE):
        _leave_closed(container.documents)


def _serve(container: Container, mesh: MeshSettings) -> None:
    every = container.servicers.kwargs
    hosted = {
        service: every[service]
        for service, target in _SERVICES.items()
        if target is None or mesh.hosts(target)
    }
    container.servicers.override(providers.Dict(hosted))


def _leave_closed(*resources: providers.Provider[Any]) -> None:
    for resource in resources:
        resource.override(providers.Object(None))
