"""What a process opens that hosts some services only."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from adapters.grpc.clients.gateway import GatewayClient
from colonnaded.container import Container
from colonnaded.mesh_settings import Target
from colonnaded.node import serving
from colonnaded.settings import Settings
from core.identifiers import DeploymentName

ELSEWHERE = {"models": "127.0.0.1:1", "key": {"env": "A_MESH_KEY"}}


def settings(folder: Path, **mesh: Any) -> Settings:
    return Settings(data_dir=folder, server={"address": "127.0.0.1:0"}, mesh=mesh)


async def test_a_host_of_models_opens_no_indexes_documents_or_prompts(tmp_path: Path) -> None:
    opened: list[Container] = []
    async with serving(settings(tmp_path, targets=["models"]), opened.append):
        [container] = opened
        closed: tuple[Any, ...] = (container.vectors, container.keywords, container.documents)
        assert [part() for part in closed] == [None, None, None]
        live = await container.deployments.async_()
        assert set(live.current().models) == {"smollm2", "extractive"}
        names = {service.name for service in await container.servicers.async_()}
        assert names == {"ModelService", "ModelGatewayService", "AdminService"}


async def test_chat_without_models_opens_none_and_knows_their_prices(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_MESH_KEY", "ck_secret")
    opened: list[Container] = []
    loaded = "adapters.models.llama_cpp" in sys.modules
    async with serving(settings(tmp_path, targets=["chat"], **ELSEWHERE), opened.append):
        [container] = opened
        live = await container.deployments.async_()
        assert live.current().models == {}
        assert live.current().catalog.deployments[DeploymentName("smollm2")].prices.known
        documents: Any = container.documents
        assert documents() is None
        gateway: object = await container.gateway.async_()
        assert isinstance(gateway, GatewayClient)
        assert loaded or "adapters.models.llama_cpp" not in sys.modules


@pytest.mark.parametrize(
    ("mesh", "problem"),
    [
        ({"targets": ["chat"]}, "mesh.models: is where the models are"),
        ({"models": "models:7600"}, "models needs key"),
        ({"models": ["a:1", "b:1"], "key": {"env": "K"}}, "is no IP address with a port"),
        ({"ca_file": "ca.pem"}, "of use with tls = true only"),
        ({"tls": True, "certificate": "c.pem"}, "go together"),
        ({"targets": ["everything"]}, "mesh.targets"),
    ],
)
def test_a_table_that_says_too_little_is_refused(mesh: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match="mesh") as refused:
        settings(Path("data"), **mesh)
    assert problem in str(refused.value)


def test_the_command_line_narrows_what_the_settings_say() -> None:
    whole = settings(Path("data"), **ELSEWHERE)
    assert whole.mesh.hosts(Target.MODELS)
    chat = whole.with_overrides(targets=(Target.CHAT,))
    assert not chat.mesh.hosts(Target.MODELS, Target.KNOWLEDGE)
    with pytest.raises(ValueError, match=r"mesh\.models"):
        settings(Path("data")).with_overrides(targets=(Target.CHAT,))
