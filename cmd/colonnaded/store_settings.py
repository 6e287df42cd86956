"""Where the state lies and how replicas tell each other: the tables `state` and `bus`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from colonnaded.secrets import SecretReference
from colonnaded.setting_table import Positive, Table


class StateSettings(Table):
    """Where the state of record lies, and what a commit withstands.

    `path` is SQLite's; `url`, the connections and the waits are PostgreSQL's. The URL is given
    by reference, since it holds a password. `durability` None is each store's own: the process
    for SQLite, the power for PostgreSQL.
    """

    adapter: Literal["sqlite", "postgres"] = "sqlite"
    path: Path | None = None
    url: SecretReference | None = None
    connections: Annotated[int, Field(ge=2, le=200)] = 10
    connection_wait_seconds: Positive = 5.0
    start_wait_seconds: Positive = 60.0
    durability: Literal["process", "power"] | None = None

    @property
    def withstands_power_loss(self) -> bool:
        """Whether each commit waits for the disk."""
        chosen = self.durability or ("process" if self.adapter == "sqlite" else "power")
        return chosen == "power"

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.adapter == "postgres" and self.url is None:
            raise ValueError('adapter postgres needs url = {env = "NAME"} or {file = "PATH"}')
        if self.adapter == "postgres" and self.path is not None:
            raise ValueError("path is for adapter sqlite; postgres has url")
        if self.adapter == "sqlite" and self.url is not None:
            raise ValueError("url is for adapter postgres; sqlite has path")
        return self


class BusSettings(Table):
    """How replicas tell each other to look at the store now. Everything but `adapter` is NATS's."""

    adapter: Literal["local", "nats"] = "local"
    servers: tuple[str, ...] = ()
    prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$")] = "colonnade"
    required: bool = False
    user: str = ""
    password: SecretReference | None = None
    token: SecretReference | None = None
    tls: bool = False
    ca_file: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    connect_timeout_seconds: Positive = 2.0

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.adapter == "nats" and not self.servers:
            raise ValueError('adapter nats needs servers, such as ["nats://host:4222"]')
        if bool(self.user) != (self.password is not None):
            raise ValueError("user and password go together: set both, or neither")
        if self.user and self.token is not None:
            raise ValueError("set user and password, or token, not both")
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key go together: set both, or neither")
        if not self.tls and (self.ca_file or self.certificate):
            raise ValueError("ca_file, certificate and key are of use with tls = true only")
        return self
