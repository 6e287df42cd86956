"""What makes the vectors: the tables `embedders.NAME`."""

from __future__ import annotations

import os
from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from colonnaded.server_settings import ServerSettings
from colonnaded.setting_table import Positive

_OF_A_SERVER = (
    *("base_url", "api_key", "dimensions", "shorten", "headers", "ca_file", "client_certificate"),
    *("client_key", "proxy", "timeout_seconds", "batch_texts", "batches_at_once", "attempts"),
    *("longest_text",),
)
"""Keys that mean nothing to an embedder of this process."""


def _few_cores() -> int:
    return min(4, len(os.sched_getaffinity(0)))


class EmbedderSettings(ServerSettings):
    """One embedder. `model` is a folder or name, or the provider's name of the model.

    `threads` is how many cores a batch may use: by default those of the machine, at most 4.
    `name` is what collections record, in place of a name made of model, dimensions and prefixes.
    """

    adapter: Literal["minilm", "e5", "sentence-transformers", "openai"]
    model: str = ""
    threads: Annotated[int, Field(ge=1, le=64)] = Field(default_factory=_few_cores)
    dimensions: Annotated[int, Field(ge=1, le=65_536)] | None = None
    shorten: bool = False
    name: Annotated[str, Field(max_length=200)] = ""
    query_prefix: Annotated[str, Field(max_length=1000)] = ""
    document_prefix: Annotated[str, Field(max_length=1000)] = ""
    longest_text: Annotated[int, Field(ge=100, le=1_000_000)] = 8_000
    batch_texts: Annotated[int, Field(ge=1, le=2_048)] = 64
    batches_at_once: Annotated[int, Field(ge=1, le=64)] = 4
    attempts: Annotated[int, Field(ge=1, le=10)] = 3
    timeout_seconds: Positive = 30.0
    price: Annotated[Decimal, Field(ge=0)] | None = None
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] = "USD"
    languages: tuple[str, ...] = ()

    @property
    def is_remote(self) -> bool:
        """Whether the model is behind HTTP."""
        return self.adapter == "openai"

    @property
    def price_of_tokens(self) -> Decimal | None:
        """Money a million tokens; what runs in this process is paid to nobody. None is unknown."""
        return Decimal(0) if self.price is None and not self.is_remote else self.price

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.is_remote:
            self._check_server()
        elif given := [key for key in _OF_A_SERVER if key in self.model_fields_set]:
            raise ValueError(f"adapter {self.adapter} has no server, so no {given[0]}")
        has_prefixes = self.is_remote or self.adapter == "sentence-transformers"
        if (self.query_prefix or self.document_prefix) and not has_prefixes:
            raise ValueError(f"adapter {self.adapter} has prefixes of its own, or none")
        if self.name and not self.is_remote:
            raise ValueError(f"adapter {self.adapter} is named by its weights")
        return self

    def _check_server(self) -> None:
        if not (self.base_url and self.model and self.dimensions):
            raise ValueError("adapter openai needs base_url, model and dimensions")
        self.check_reach(self.base_url)
