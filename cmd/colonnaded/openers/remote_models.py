"""Opens the models behind HTTP: settings to an adapter of the provider's format."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from typing import Any

from adapters.models.anthropic import AnthropicModel, MessagesServer
from adapters.models.azure_openai import AzureOpenAI, AzureServer
from adapters.models.gemini import GeminiModel, GeminiServer
from adapters.models.openai_compatible import ChatServer, OpenAICompatible
from adapters.models.openai_dialects import DIALECTS, Dialect, dialect_of
from adapters.models.openai_responses import ResponsesModel
from adapters.models.time_limits import TimeLimits
from adapters.models.upstream import Token, Upstream
from colonnaded.provider_settings import ProviderSettings
from colonnaded.secrets import MissingSecret, SecretReference, resolved
from core.catalog import Deployment
from core.clock import Clock
from core.generation import ModelError, ModelErrorKind
from core.identifiers import Seconds
from core.ports.gateway_observer import QUIET_GATEWAY, GatewayObserver
from core.ports.language_model import LanguageModel


def open_remote(
    deployment: Deployment,
    chosen: ProviderSettings,
    clock: Clock,
    observer: GatewayObserver = QUIET_GATEWAY,
) -> LanguageModel:
    """The model. Raises MissingSecret, and OSError where a certificate's file cannot be used."""
    # Every server's settings begin with those of Upstream; each adds its own by name.
    upstream: dict[str, Any] = _upstream(deployment, chosen)
    upstream["key_rested"] = partial(observer.key_rested, deployment.name)
    thinking: Any = chosen.thinking  # the settings allow each adapter its own words only
    match chosen.adapter:
        case "openai":
            chat = ChatServer(**upstream, dialect=_dialect(chosen))
            return OpenAICompatible(deployment, chat, now=clock.now)
        case "openai-responses":
            return ResponsesModel(deployment, Upstream(**upstream), now=clock.now)
        case "anthropic":
            messages = MessagesServer(**upstream, thinking=thinking)
            return AnthropicModel(deployment, messages, now=clock.now)
        case "gemini":
            google = GeminiServer(**upstream, thinking=thinking)
            return GeminiModel(deployment, google, now=clock.now)
        case "azure-openai":
            dialect = DIALECTS[chosen.dialect or "azure"]
            azure = AzureServer(**upstream, api_version=chosen.api_version, dialect=dialect)
            return AzureOpenAI(deployment, azure, now=clock.now)
    raise ValueError(f"the adapter {chosen.adapter} is not one of models behind HTTP")


def _upstream(deployment: Deployment, chosen: ProviderSettings) -> dict[str, Any]:
    limits = TimeLimits(
        connect=Seconds(chosen.connect_seconds),
        between_tokens=Seconds(chosen.between_tokens_seconds),
    )
    if deployment.limits.first_token is not None:
        limits = replace(limits, first_token=deployment.limits.first_token)
    return {
        "base_url": chosen.address,
        **chosen.reach(),
        "more_keys": tuple(map(resolved, chosen.more_keys)),
        "limits": limits,
        "tokenizer": chosen.tokenizer,
        "token": _token(chosen.token) if chosen.token else None,
        "forward_trace": chosen.forward_trace,
    }


def _dialect(chosen: ProviderSettings) -> Dialect:
    dialect = DIALECTS[chosen.dialect] if chosen.dialect else dialect_of(chosen.address)
    return replace(dialect, thoughts=chosen.thoughts) if chosen.thoughts else dialect


def _token(reference: SecretReference) -> Token:
    """Reads the token anew each time: somebody renews it in its file."""

    async def token() -> str:
        try:
            return await asyncio.to_thread(reference.resolve)
        except MissingSecret as missing:
            raise ModelError(
                ModelErrorKind.AUTHENTICATION, f"there is no token: {missing}"
            ) from None

    return token
