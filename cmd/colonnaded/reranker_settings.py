"""What scores documents against a query: the tables `rerankers.NAME`."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from colonnaded.secrets import SecretReference
from colonnaded.setting_table import Positive, Table

_OF_A_SERVER = (
    *("base_url", "model", "format", "api_key", "headers", "ca_file", "client_certificate"),
    *("client_key", "proxy", "longest_text", "forward_trace"),
)
"""Keys that mean nothing to a reranker of this process."""


class RerankerSettings(Table):
    """One reranker: on an embedder of this process, or on a server of POST /rerank."""

    adapter: Literal["embedder", "server"]
    embedder: Annotated[str, Field(max_length=200)] = ""
    model: str = ""
    base_url: str = ""
    format: Literal["generic", "cohere", "jina", "vllm", "tei"] = "generic"
    api_key: SecretReference | None = None
    headers: dict[str, str | SecretReference] = Field(default={})
    ca_file: Path | None = None
    client_certificate: Path | None = None
    client_key: Path | None = None
    proxy: str | SecretReference | None = None
    longest_text: Annotated[int, Field(ge=100, le=1_000_000)] = 8_000
    timeout_seconds: Positive = 30.0
    forward_trace: bool = False
    price: Annotated[Decimal, Field(ge=0)] | None = None
    price_request: Annotated[Decimal, Field(ge=0)] = Decimal(0)
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] = "USD"

    @property
    def is_remote(self) -> bool:
        """Whether the model is behind HTTP."""
        return self.adapter == "server"

    @property
    def price_of_tokens(self) -> Decimal | None:
        """Money a million tokens; what runs in this process is paid to nobody. None is unknown.

        A server that is paid by the call alone is paid nothing for tokens.
        """
        free = not self.is_remote or self.price_request > 0
        return Decimal(0) if self.price is None and free else self.price

    @property
    def secrets(self) -> tuple[SecretReference, ...]:
        """All that is given by reference."""
        given = (self.api_key, self.proxy, *self.headers.values())
        return tuple(one for one in given if isinstance(one, SecretReference))

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if not self.is_remote:
            if given := [key for key in _OF_A_SERVER if key in self.model_fields_set]:
                raise ValueError(f"adapter embedder has no server, so no {given[0]}")
            return self
        if self.embedder:
            raise ValueError("adapter server needs no embedder")
        if not (self.base_url and self.model):
            raise ValueError("adapter server needs base_url and model")
        if urlsplit(self.base_url).scheme not in ("http", "https"):
            raise ValueError("base_url must begin with https:// or http://")
        if self.client_key is not None and self.client_certificate is None:
            raise ValueError("client_key needs client_certificate")
        if isinstance(self.proxy, str) and "@" in self.proxy:
            raise ValueError('a proxy with a password is given by reference: {env = "NAME"}')
        return self


def embedded_reranker() -> dict[str, RerankerSettings]:
    """What there is without settings: the default embedder, and the words."""
    return {"embedded": RerankerSettings(adapter="embedder")}
