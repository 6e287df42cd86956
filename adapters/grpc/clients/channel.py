"""The connection to the processes that host a service: balanced by call, health-aware, bounded."""

from __future__ import annotations

import json
from dataclasses import dataclass

import grpc

from adapters.grpc.clients.targets import target_of

_KEEPALIVE_MS = 10_000
_SOONEST_RECONNECT_MS, _LATEST_RECONNECT_MS = 100, 2_000
_RESOLVE_AGAIN_MS = 2_000


@dataclass(frozen=True, slots=True)
class ClientTls:
    """Who is believed to be the server, and who this process is, all PEM.

    `ca` None are the system's. `certificate` and its `key` are this process's own, for servers
    that ask for one.
    """

    ca: bytes | None = None
    certificate: bytes | None = None
    key: bytes | None = None


@dataclass(frozen=True, slots=True)
class MeshTarget:
    """Where a service is hosted: one address or name, or several addresses of equals.

    `service` is the full name by which each process tells whether it serves.
    """

    addresses: tuple[str, ...]
    service: str
    tls: ClientTls | None = None
    message_bytes: int = 16 * 1024 * 1024


def open_channel(target: MeshTarget) -> grpc.aio.Channel:
    """A channel, which connects when it is first used. Belongs to the running loop."""
    options = _options(target)
    address = target_of(target.addresses)
    if target.tls is None:
        return grpc.aio.insecure_channel(address, options)
    tls = target.tls
    credentials = grpc.ssl_channel_credentials(tls.ca, tls.key, tls.certificate)
    return grpc.aio.secure_channel(address, credentials, options)


def _options(target: MeshTarget) -> list[tuple[str, str | int]]:
    return [
        ("grpc.service_config", json.dumps(service_config(target.service))),
        ("grpc.enable_retries", 0),  # the client does, which knows what may be asked again
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.max_receive_message_length", target.message_bytes),
        ("grpc.max_send_message_length", target.message_bytes),
        ("grpc.keepalive_time_ms", _KEEPALIVE_MS),
        ("grpc.keepalive_timeout_ms", _KEEPALIVE_MS),
        ("grpc.initial_reconnect_backoff_ms", _SOONEST_RECONNECT_MS),
        ("grpc.min_reconnect_backoff_ms", _SOONEST_RECONNECT_MS),
        ("grpc.max_reconnect_backoff_ms", _LATEST_RECONNECT_MS),
        ("grpc.dns_min_time_between_resolutions_ms", _RESOLVE_AGAIN_MS),
    ]


def service_config(service: str) -> dict[str, object]:
    """Each call goes to the next process that says that it serves."""
    return {
        "loadBalancingConfig": [{"round_robin": {}}],
        "healthCheckConfig": {"serviceName": service},
    }
