"""A server behind HTTP: what tables of deployments, embedders and rerankers say of one alike."""

from __future__ import annotations

from pathlib import Path
from typing import TypedDict
from urllib.parse import urlsplit

from pydantic import Field

from colonnaded.secrets import SecretReference, resolved
from colonnaded.setting_table import Table


class Reach(TypedDict):
    """How a server is reached, secrets and all: for the adapter that asks it."""

    api_key: str
    headers: dict[str, str]
    ca_file: Path | None
    client_certificate: Path | None
    client_key: Path | None
    proxy: str | None


class ServerSettings(Table):
    """Where the server is, what proves who we are to it, and how it is reached."""

    base_url: str = ""
    api_key: SecretReference | None = None
    headers: dict[str, str | SecretReference] = Field(default={})
    ca_file: Path | None = None
    client_certificate: Path | None = None
    client_key: Path | None = None
    proxy: str | SecretReference | None = None

    @property
    def secrets(self) -> tuple[SecretReference, ...]:
        """All that is given by reference."""
        given = (self.api_key, self.proxy, *self.headers.values())
        return tuple(one for one in given if isinstance(one, SecretReference))

    def reach(self) -> Reach:
        """The same with the secrets themselves. Raises MissingSecret."""
        return {
            "api_key": resolved(self.api_key),
            "headers": {name: resolved(value) for name, value in self.headers.items()},
            "ca_file": self.ca_file,
            "client_certificate": self.client_certificate,
            "client_key": self.client_key,
            "proxy": resolved(self.proxy) or None,
        }

    def check_reach(self, address: str) -> None:
        """Whether the keys fit together; no `address`: there is no server. Raises ValueError."""
        if address and urlsplit(address).scheme not in ("http", "https"):
            raise ValueError("base_url must begin with https:// or http://")
        if self.client_key is not None and self.client_certificate is None:
            raise ValueError("client_key needs client_certificate")
        if isinstance(self.proxy, str) and "@" in self.proxy:
            raise ValueError('a proxy with a password is given by reference: {env = "NAME"}')
