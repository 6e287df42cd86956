"""A server that reads its settings again under load: what runs goes on, what is new counts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from grpc import StatusCode

from colonnade.client.stubs import AsyncStubs
from colonnade.v1.admin_pb2 import ReloadConfigRequest
from colonnade.v1.models_pb2 import GenerateRequest
from colonnade.v1.routing_pb2 import CachePolicy
from colonnaded.container import Container
from colonnaded.node import serving
from colonnaded.settings import load_settings
from core.identifiers import DeploymentName
from fakes.chat_server import ChatServerDouble, Stream
from fakes.rich_errors import refused
from fakes.served_node import user

FIRST = DeploymentName("first")
WORDS = [f"word{number} " for number in range(30)]


@dataclass
class Reloadable:
    """A server, and the file of its settings."""

    file: Path
    stubs: AsyncStubs
    container: Container

    def write(self, text: str) -> None:
        """Other settings, which nobody has read yet."""
        self.file.write_text(f'data_dir = "{self.file.parent / "data"}"\n{text}')

    async def reload(self) -> Any:
        return await self.stubs.admin.ReloadConfig(ReloadConfigRequest())

    async def said(self, model: str = "") -> tuple[str, str]:
        """The model that answers, and what it says."""
        request = GenerateRequest(messages=[user("Count.")], model=model)
        text, name = [], ""
        async for piece in self.stubs.models.StreamGenerate(request):
            text.append(piece.text)
            name = piece.model or name
        return name, "".join(text)


@asynccontextmanager
async def reloadable(folder: Path, text: str) -> AsyncIterator[Reloadable]:
    file = folder / "colonnade.toml"
    opened: list[Container] = []

    def read() -> Any:
        return load_settings(file).with_overrides(address="127.0.0.1:0", demo_key=True)

    file.write_text(f'data_dir = "{folder / "data"}"\n{text}')
    async with (
        serving(read(), opened.append, read) as node,
        grpc.aio.insecure_channel(node.address) as channel,
    ):
        yield Reloadable(file, AsyncStubs.of(channel), opened[0])


def deployment(name: str, url: str, more: str = "") -> str:
    return f"""
[deployments.{name}]
adapter = "openai"
model = "m"
base_url = "{url}"
tier = "strong"
context_window = 100000
max_output_tokens = 8000
{more}
"""


async def until(done: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not done():  # noqa: ASYNC110  # nobody tells when a model is closed
            await asyncio.sleep(0.005)


async def test_what_runs_goes_on_and_what_is_new_counts(tmp_path: Path) -> None:
    async with (
        ChatServerDouble(Stream.of(*WORDS, pause=0.02)) as old,
        ChatServerDouble(Stream.of("new")) as new,
        reloadable(tmp_path, deployment("first", old.url)) as server,
    ):
        live = await server.container.deployments.async_()
        model = live.current().models[FIRST]
        running = asyncio.create_task(server.said())
        await old.came.wait()
        server.write(deployment("second", new.url))
        done = await server.reload()
        assert "deployments.second.base_url" in done.applied_keys
        assert await server.said() == ("second", "new")
        assert not _closed(model)
        assert await running == ("first", "".join(WORDS))
        await until(lambda: _closed(model))


def _closed(model: Any) -> bool:
    return bool(model._closed)


async def test_a_refused_reload_changes_nothing_and_says_why(tmp_path: Path) -> None:
    async with (
        ChatServerDouble(Stream.of("one")) as upstream,
        reloadable(tmp_path, deployment("first", upstream.url)) as server,
    ):
        server.write(
            deployment("second", upstream.url)
            + '[routes.cheap]\ncandidates = ["nobody"]\n[hedging]\nshare = 7\n[retires]\n'
        )
        refusal = await refused(server.reload())
        assert refusal.code is StatusCode.INVALID_ARGUMENT
        assert {"hedging.share", "retires"} <= set(refusal.fields)
        server.write(deployment("second", upstream.url, 'api_key = { env = "NOT_SET_ANYWHERE" }'))
        refusal = await refused(server.reload())
        assert "NOT_SET_ANYWHERE" in refusal.message
        server.write("this is no TOML")
        assert (await refused(server.reload())).code is StatusCode.INVALID_ARGUMENT
        assert await server.said() == ("first", "one")
        assert (await server.container.deployments.async_()).deployment(
            DeploymentName("second")
        ) is None


async def test_a_price_or_limit_changes_without_another_model(tmp_path: Path) -> None:
    async with (
        ChatServerDouble(Stream.of("one")) as upstream,
        reloadable(tmp_path, deployment("first", upstream.url)) as server,
    ):
        live = await server.container.deployments.async_()
        before = live.current().models[FIRST]
        server.write(
            deployment("first", upstream.url, "concurrent = 3\nprices = { input = 1, output = 2 }")
            + "[budgets.all]\nlimit = 0.000001\n[turns]\nmax_running = 7\n[log]\nlevel = 'debug'\n"
        )
        done = await server.reload()
        assert list(done.restart_keys) == ["log.level"]
        assert "deployments.first.prices.input" in done.applied_keys
        assert "turns.max_running" in done.applied_keys
        assert live.current().models[FIRST] is before
        assert live.current().catalog.deployments[FIRST].limits.concurrent == 3
        request = GenerateRequest(messages=[user("Count.")])
        refusal = await refused(server.stubs.models.Generate(request))
        assert refusal.reason == "BUDGET_SPENT"
        assert (await server.reload()).applied_keys == []


async def test_a_storm_of_reloads_is_not_noticed(tmp_path: Path) -> None:
    async with (
        ChatServerDouble(Stream.of(*WORDS, pause=0.005)) as upstream,
        reloadable(tmp_path, deployment("d0", upstream.url)) as server,
    ):
        heard: list[tuple[str, str]] = []

        async def reader() -> None:
            for _ in range(6):
                heard.append(await server.said())

        async def reloads() -> None:
            for number in range(1, 25):
                server.write(deployment(f"d{number}", upstream.url))
                await server.reload()
                await asyncio.sleep(0.02)

        await asyncio.gather(reloads(), *(reader() for _ in range(20)))
        assert {text for _, text in heard} == {"".join(WORDS)}
        assert len({name for name, _ in heard}) > 3
        live = await server.container.deployments.async_()
        await until(lambda: not live._retired and not live._closing)


async def test_an_answer_that_was_kept_is_asked_for_anew(tmp_path: Path) -> None:
    async with (
        ChatServerDouble(Stream.of("old")) as old,
        ChatServerDouble(Stream.of("new")) as new,
        reloadable(tmp_path, deployment("first", old.url)) as server,
    ):
        request = GenerateRequest(
            messages=[user("Count.")], cache=CachePolicy(read=True, write=True)
        )
        for _ in range(2):
            answer = await server.stubs.models.Generate(request)
            assert answer.message.parts[0].text == "old"
        assert len(old.requests) == 1
        server.write(deployment("first", new.url))
        await server.reload()
        answer = await server.stubs.models.Generate(request)
        assert (answer.message.parts[0].text, answer.cached) == ("new", False)
