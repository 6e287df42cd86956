"""What scores documents against a query: the tables `rerankers.NAME`."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from colonnaded.server_settings import ServerSettings
from colonnaded.setting_table import Positive

_OF_A_SERVER = (
    *("base_url", "model", "format", "api_key", "headers", "ca_file", "client_certificate"),
    *("client_key", "proxy", "longest_text", "forward_trace"),
)
"""Keys that mean nothing to a reranker of this process."""


class RerankerSettings(ServerSettings):
    """One reranker: on an embedder of this process, or on a server of POST /rerank."""

    adapter: Literal["embedder", "server"]
    embedder: Annotated[str, Field(max_length=200)] = ""
    model: str = ""
    format: Literal["generic", "cohere", "jina", "vllm", "tei"] = "generic"
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
        self.check_reach(self.base_url)
        return self


def embedded_reranker() -> dict[str, RerankerSettings]:
    """What there is without settings: the default embedder, and the words."""
    return {"embedded": RerankerSettings(adapter="embedder")}
