"""Where a model behind HTTP is and how it is spoken to: part of the tables `deployments.NAME`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from colonnaded.secrets import SecretReference
from colonnaded.server_settings import ServerSettings
from colonnaded.setting_table import Positive

Adapter = Literal[
    "llamacpp",
    "openai",
    "openai-responses",
    "azure-openai",
    "anthropic",
    "gemini",
    "extractive",
]
"""What serves a deployment: a model in the process, a provider's format, or quotations."""
DialectName = Literal[
    "generic",
    "openai",
    "azure",
    "vllm",
    "llama.cpp",
    "ollama",
    "tgi",
    "deepseek",
    "mistral",
    "openrouter",
]

_ADDRESSES = {
    "openai": "",
    "openai-responses": "https://api.openai.com/v1",
    "anthropic": "https://api.anthropic.com/v1",
    "gemini": "https://generativelanguage.googleapis.com/v1beta",
    "azure-openai": "",
}
"""Adapters of models behind HTTP, each with its provider's own address where it has one."""
_THINKING = {"anthropic": ("budget", "adaptive"), "gemini": ("budget", "level")}


class ProviderSettings(ServerSettings):
    """A provider's server.

    A `token` goes in the key's place, and is read again for each request, so that whoever renews
    it can do so in its file.
    """

    adapter: Adapter
    model: str = ""
    dialect: DialectName | None = None
    thoughts: Literal["fields", "tags", "tags_opened"] | None = None
    thinking: Literal["budget", "adaptive", "level"] = "budget"
    api_version: str = "2024-10-21"
    more_keys: tuple[SecretReference, ...] = ()
    token: SecretReference | None = None
    tokenizer: Path | None = None
    connect_seconds: Positive = 5.0
    between_tokens_seconds: Positive = 30.0
    forward_trace: bool = False

    @property
    def is_remote(self) -> bool:
        """Whether the model is behind HTTP."""
        return self.adapter in _ADDRESSES

    @property
    def address(self) -> str:
        """Where it is: what is set, else the provider's own address."""
        return self.base_url or _ADDRESSES.get(self.adapter, "")

    @property
    def secrets(self) -> tuple[SecretReference, ...]:
        """All that is given by reference."""
        return (*super().secrets, *self.more_keys, *((self.token,) if self.token else ()))

    def check_provider(self) -> None:
        """Whether the keys fit together. Raises ValueError."""
        if self.is_remote and not (self.address and self.model):
            needed = "model" if self.address else "base_url and model"
            raise ValueError(f"adapter {self.adapter} needs {needed}")
        self.check_reach(self.address if self.is_remote else "")
        if self.thinking not in _THINKING.get(self.adapter, ("budget",)):
            raise ValueError(f"adapter {self.adapter} knows no thinking {self.thinking!r}")
        if self.more_keys and self.api_key is None:
            raise ValueError("more_keys needs api_key")
