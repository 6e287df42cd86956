"""Providers by their settings: what is accepted, and what reaches the provider."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from adapters.models.remote_model import RemoteModel
from colonnaded.identity import system_clock
from colonnaded.openers.remote_models import open_remote
from colonnaded.provider_settings import ProviderSettings
from core.generation import ModelErrorKind, ModelFinished
from fakes.provider_models import ABLE, broken_answer, events_of
from fakes.provider_server import ProviderServer

FORMATS = {
    "openai": "chat",
    "openai-responses": "responses",
    "anthropic": "messages",
    "gemini": "gemini",
    "azure-openai": "azure",
}


def settings(adapter: str, **more: Any) -> ProviderSettings:
    chosen = ProviderSettings.model_validate({"adapter": adapter, "model": "m", **more})
    chosen.check_provider()
    return chosen


def opened(chosen: ProviderSettings) -> RemoteModel:
    model = open_remote(ABLE, chosen, system_clock())
    assert isinstance(model, RemoteModel)
    return model


@pytest.mark.parametrize("adapter", FORMATS)
async def test_every_provider_answers(
    adapter: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_KEY", "the-key-of-the-test")
    (tmp_path / "header").write_text("secret-of-a-header\n")
    headers = {"X-Plain": "plain", "X-Secret": {"file": str(tmp_path / "header")}}
    async with ProviderServer() as server:
        url = server.url(FORMATS[adapter])
        chosen = settings(adapter, base_url=url, api_key={"env": "A_KEY"}, headers=headers)
        model = opened(chosen)
        assert isinstance((await events_of(model))[-1], ModelFinished)
        await model.close()
    sent = server.records[0].headers
    assert any("the-key-of-the-test" in value for value in sent.values())
    assert (sent["X-Plain"], sent["X-Secret"]) == ("plain", "secret-of-a-header")


async def test_a_token_is_read_again_for_each_request(tmp_path: Path) -> None:
    file = tmp_path / "token"
    async with ProviderServer() as server:
        chosen = settings("gemini", base_url=server.url("gemini"), token={"file": str(file)})
        model = opened(chosen)
        for token in ("first", "second"):
            file.write_text(token)
            await events_of(model)
        file.unlink()
        _, error = await broken_answer(model)
        await model.close()
    sent = [record.headers["Authorization"] for record in server.records]
    assert sent == ["Bearer first", "Bearer second"]
    assert error.kind is ModelErrorKind.AUTHENTICATION


async def test_where_a_model_leaves_its_thoughts_can_be_told() -> None:
    async with ProviderServer() as server:
        chosen = settings("openai", base_url=server.url("chat"), thoughts="tags_opened")
        model = opened(chosen)
        events = await events_of(model)
        await model.close()
    assert not any(type(event).__name__ == "TextDelta" for event in events)


@pytest.mark.parametrize(
    ("adapter", "address"),
    [
        ("anthropic", "https://api.anthropic.com/v1"),
        ("gemini", "https://generativelanguage.googleapis.com/v1beta"),
        ("openai-responses", "https://api.openai.com/v1"),
    ],
)
def test_a_provider_with_one_address_needs_none(adapter: str, address: str) -> None:
    assert settings(adapter).address == address


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"adapter": "openai"}, "needs base_url and model"),
        ({"adapter": "azure-openai"}, "needs base_url and model"),
        ({"adapter": "anthropic", "model": ""}, "needs model"),
        ({"adapter": "openai", "base_url": "api.openai.com"}, "must begin with https"),
        ({"adapter": "anthropic", "thinking": "level"}, "knows no thinking 'level'"),
        ({"adapter": "gemini", "thinking": "adaptive"}, "knows no thinking 'adaptive'"),
        ({"adapter": "anthropic", "client_key": "k.pem"}, "needs client_certificate"),
        ({"adapter": "anthropic", "proxy": "http://u:p@proxy:1"}, "given by reference"),
        ({"adapter": "anthropic", "api_key": "sk-literal"}, "given by reference"),
        ({"adapter": "openai", "base_url": "http://a", "dialect": "novelty"}, "dialect"),
        ({"adapter": "openai", "base_url": "http://a", "dialekt": "vllm"}, "dialekt"),
    ],
)
def test_what_does_not_fit_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        settings(**given)
