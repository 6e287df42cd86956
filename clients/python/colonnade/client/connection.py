"""Where the server is, with which key it is called, and how the connection behaves."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path

import grpc

DEFAULT_ADDRESS = "127.0.0.1:7600"

_LARGEST_MESSAGE = 64 * 1024 * 1024
_RETRIED = {
    "AdminService": (
        "ListTurns",
        "GetTurnStatus",
        "CancelTurn",
        "ListBudgets",
        "GetBudget",
        "GetSpending",
    ),
    "ChatService": ("GetTurn", "CancelChat"),
    "ConversationService": (
        "CreateConversation",
        "GetConversation",
        "ListConversations",
        "ListMessages",
        "ExportConversation",
    ),
    "KnowledgeService": ("GetCollection", "ListCollections", "GetDocument", "ListDocuments"),
    "RetrievalService": ("Search", "BuildContext"),
    "ModelService": ("Embed", "CountTokens", "ListModels"),
}


@dataclass(frozen=True, slots=True)
class Connection:
    """A server's address, the key to call it with, and the authority that its certificate shows.

    Without `authority` (PEM) the connection is in plain text.
    """

    address: str
    key: str = field(default="", repr=False)
    authority: bytes | None = None

    @classmethod
    def find(
        cls,
        address: str | None = None,
        key: str | None = None,
        tls_ca: str | os.PathLike[str] | None = None,
    ) -> Connection:
        """What is given, else what COLONNADE_ADDRESS, COLONNADE_API_KEY, COLONNADE_TLS_CA say.

        `tls_ca` is the path of a PEM file. Raises OSError where it can't be read.
        """
        ca = os.environ.get("COLONNADE_TLS_CA", "") if tls_ca is None else os.fspath(tls_ca)
        return cls(
            address=address or os.environ.get("COLONNADE_ADDRESS") or DEFAULT_ADDRESS,
            key=(os.environ.get("COLONNADE_API_KEY", "") if key is None else key).strip(),
            authority=Path(ca).read_bytes() if ca else None,
        )

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What every call carries."""
        return (("authorization", f"Bearer {self.key}"),) if self.key else ()

    def credentials(self) -> grpc.ChannelCredentials | None:
        """For a secure channel; None for a plain one."""
        if self.authority is None:
            return None
        return grpc.ssl_channel_credentials(root_certificates=self.authority)

    def open(self) -> grpc.Channel:
        """A channel for the blocking client."""
        credentials = self.credentials()
        if credentials is None:
            return grpc.insecure_channel(self.address, options=channel_options())
        return grpc.secure_channel(self.address, credentials, options=channel_options())

    def open_async(self) -> grpc.aio.Channel:
        """A channel for the asyncio client."""
        credentials = self.credentials()
        if credentials is None:
            return grpc.aio.insecure_channel(self.address, options=channel_options())
        return grpc.aio.secure_channel(self.address, credentials, options=channel_options())


def channel_options() -> list[tuple[str, str | int]]:
    """Notices a dead connection within 30 s, and comes back within 2 s of a server's start.

    A server that takes a connection and says nothing (it stands still) is given up after 5 s;
    gRPC's own patience is 20 s, in which no call of the channel fails. The server takes pings
    that are at least 10 s apart.
    """
    return [
        ("grpc.keepalive_time_ms", 20_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", 5_000),  # the time for one attempt, whatever its name
        ("grpc.max_reconnect_backoff_ms", 2_000),
        ("grpc.max_receive_message_length", _LARGEST_MESSAGE),
        ("grpc.primary_user_agent", "colonnade-python"),
        ("grpc.service_config", json.dumps(service_config())),
    ]


def service_config() -> dict[str, object]:
    """Spreads calls over all addresses that are healthy, and repeats those that may be repeated.

    Chat streams and ingests are not in it: this client resumes them itself, with the server's
    advice on when. The others that are not in it run, cost or change something a second time.
    """
    names = [
        {"service": f"colonnade.v1.{service}", "method": method}
        for service, methods in _RETRIED.items()
        for method in methods
    ]
    retry = {
        "maxAttempts": 4,
        "initialBackoff": "0.2s",
        "maxBackoff": "2s",
        "backoffMultiplier": 2,
        "retryableStatusCodes": ["UNAVAILABLE"],
    }
    return {
        "loadBalancingConfig": [{"round_robin": {}}],
        "healthCheckConfig": {"serviceName": ""},
        "methodConfig": [{"name": names, "retryPolicy": retry}],
    }
