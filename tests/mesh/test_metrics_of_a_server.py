"""A server's own metrics page, after real calls."""

from __future__ import annotations

import asyncio
import http.client
from urllib.parse import urlsplit

import pytest

from colonnaded.metrics_settings import MetricsSettings
from fakes.language_model import Hang, script
from fakes.served_node import ServedNode, ask, served_node

CHAT = "colonnade.v1.ChatService.Chat"


def scrape(url: str) -> dict[str, float]:
    """Every sample by its name with labels."""
    place = urlsplit(url)
    assert place.hostname is not None
    connection = http.client.HTTPConnection(place.hostname, place.port, timeout=10)
    try:
        connection.request("GET", place.path)
        lines = connection.getresponse().read().decode().splitlines()
    finally:
        connection.close()
    samples = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    return {name: float(value) for name, value in samples}


async def shown(node: ServedNode) -> dict[str, float]:
    return await asyncio.to_thread(scrape, node.lines("metrics")[0]["url"])


async def test_calls_and_commits_are_counted() -> None:
    async with served_node(script("Hello."), metrics={"address": "127.0.0.1:0"}) as node:
        await node.stubs.chat.Chat(ask(), metadata=node.key())
        await node.logged()
        found = await shown(node)
        assert found[f'colonnade_calls_total{{method="{CHAT}",status="OK"}}'] == 1
        assert found[f'colonnade_call_seconds_count{{method="{CHAT}"}}'] == 1
        assert found["colonnade_commit_seconds_count"] >= 1
        assert found["colonnade_commit_events_sum"] >= 1
        assert found["colonnade_held_back_bytes"] == 0
        assert found["colonnade_bugs_total"] == 0


async def test_a_running_turn_is_seen_with_its_lease() -> None:
    async with served_node(script("Half", Hang()), metrics={"address": "127.0.0.1:0"}) as node:
        stream = node.stubs.chat.StreamChat(ask(), metadata=node.key())
        await stream.read()
        found = await shown(node)
        assert found["colonnade_running_turns"] == 1
        assert found["colonnade_lease_age_seconds"] < 5
        stream.cancel()


async def test_without_an_address_there_is_no_page() -> None:
    async with served_node() as node:
        assert node.lines("metrics") == []


@pytest.mark.parametrize("address", ["127.0.0.1:9464", "localhost:0", "[::1]:9464", ""])
def test_loopback_is_accepted(address: str) -> None:
    assert MetricsSettings(address=address).address == address


@pytest.mark.parametrize(
    "address", ["0.0.0.0:9464", "10.0.0.1:9464", ":9464", "127.0.0.1", "127.0.0.1.evil.example:1"]
)
def test_what_others_could_reach_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="this machine alone"):
        MetricsSettings(address=address)
