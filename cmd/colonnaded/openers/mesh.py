"""Opens what stands for the services that other processes host."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

from adapters.grpc.clients.channel import ClientTls, MeshTarget, open_channel
from adapters.grpc.clients.gateway import SERVICE, GatewayClient
from adapters.grpc.clients.reranking import RerankingClient
from colonnaded.gateway_policies import deployment_of, price_table, route_of, routing_policy
from colonnaded.mesh_settings import MeshSettings
from colonnaded.settings import Settings
from core.catalog import Catalog, Deployment
from core.clock import Clock
from core.identifiers import DeploymentName
from services.models.deployments import Deployments, LiveDeployments


async def open_gateway_client(settings: Settings, clock: Clock) -> AsyncIterator[GatewayClient]:
    """The gateway of another process; it is reached for when it is first asked.

    Raises MissingSecret, and OSError where a certificate's file can't be read.
    """
    mesh = settings.mesh
    assert mesh.key is not None  # the settings were checked: who names models has one
    mesh.key.resolve()
    client = GatewayClient(open_channel(_target(settings)), mesh.key.resolve, clock)
    try:
        yield client
    finally:
        await client.close()


async def open_reranking_client(settings: Settings, clock: Clock) -> AsyncIterator[RerankingClient]:
    """The reranking of another process, by a connection of its own. Raises as the gateway's."""
    mesh = settings.mesh
    assert mesh.key is not None  # the settings were checked: who names models has one
    channel = open_channel(_target(settings))
    try:
        yield RerankingClient(channel, mesh.key.resolve, clock)
    finally:
        await channel.close()


def _target(settings: Settings) -> MeshTarget:
    mesh = settings.mesh
    tls = _tls(mesh) if mesh.tls else None
    return MeshTarget(mesh.models, SERVICE, tls, settings.server.max_message_bytes)


def _tls(mesh: MeshSettings) -> ClientTls:
    return ClientTls(_read(mesh.ca_file), _read(mesh.certificate), _read(mesh.private_key))


def _read(path: Path | None) -> bytes | None:
    return None if path is None else path.read_bytes()


class FarCatalog(LiveDeployments):
    """The catalog of the settings without its models: what a turn's attempts are priced by.

    Where the process that hosts the models has told of an entry, that counts.
    """

    def __init__(self, deployments: Deployments, client: GatewayClient) -> None:
        super().__init__(deployments)
        self._client = client

    def deployment(self, name: DeploymentName) -> Deployment | None:
        """The entry of this name."""
        return self._client.deployment(name) or super().deployment(name)


def catalog_alone(settings: Settings) -> Deployments:
    """The snapshot of the settings without its models. Raises SettingsError."""
    prices = price_table(settings)
    catalog = Catalog(
        {
            DeploymentName(name): deployment_of(name, entry, prices)
            for name, entry in settings.deployments.items()
        },
        {name: route_of(name, route) for name, route in settings.routes.items()},
    )
    return Deployments(catalog, {}, routing_policy(settings))


async def open_catalog(settings: Settings, client: GatewayClient) -> AsyncIterator[FarCatalog]:
    """The catalog; nothing in it is opened."""
    yield FarCatalog(catalog_alone(settings), client)
