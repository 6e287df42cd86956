"""The gateway under measure: the real container, with settings as an operator writes them.

    python -m benchmarks.gatewaying.ours FOLDER UPSTREAM

It hosts the models and nothing else. Everything is on: keys, validation, routing, the record of
each attempt before its call, the ledger after it, log lines. FOLDER gets the state.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvloop

from benchmarks.gatewaying.upstream import AT_ONCE, PACED, SLOW, STEADY
from benchmarks.relaying.processes import serve_until_told, tune
from colonnaded.container import Container
from colonnaded.node import Serving, serving
from colonnaded.settings import Settings
from core.api_keys import ApiKey, digest_of
from core.identifiers import ApiKeyId, TenantId, UserId
from core.ports.state import State

TENANTS = {f"tenant-{number}": f"ck_{number:02}" + "5eed" * 15 + "00" for number in range(10)}
"""The key of each tenant's one caller, which opens nothing but the gateway under measure."""
KEY = TENANTS["tenant-0"]
FULL = "full"
"""The deployment that works on `PLACES` calls at once; its provider is `STEADY`."""
PLACES = 50


def settings_of(folder: Path, upstream: str) -> Settings:
    """Deployments of one provider, priced; many calls at once."""

    def deployment(model: str) -> dict[str, object]:
        return {
            "adapter": "openai",
            "model": model,
            "base_url": f"http://{upstream}/v1",
            "context_window": 8_192,
            "prices": {"input": "0.15", "output": "0.60"},
        }

    few = {"concurrent": PLACES, "queued": 2_000, "longest_wait_seconds": 600}
    return Settings.model_validate(
        {
            "data_dir": folder,
            "server": {"address": "127.0.0.1:0", "max_concurrent_calls": 8_192},
            "mesh": {"targets": ["models"]},
            "deployments": {
                FULL: deployment(STEADY) | few,
                **{model: deployment(model) for model in (AT_ONCE, PACED, SLOW)},
            },
        }
    )


@asynccontextmanager
async def _node(settings: Settings) -> AsyncIterator[Serving]:
    """The node while it serves, with a key for each tenant."""
    states: list[State] = []

    def keep(container: Container) -> None:
        opened: Any = container.state.provides

        async def kept(*given: object) -> AsyncIterator[State]:
            async with opened(*given) as state:
                states.append(state)
                yield state

        container.state.set_provides(kept)

    async with serving(settings, keep) as node:
        for tenant, key in TENANTS.items():
            async with states[0].transaction(TenantId(tenant)) as tx:
                tx.api_keys.insert(_key(tenant, key))
        yield node


def _key(tenant: str, key: str) -> ApiKey:
    return ApiKey(
        id=ApiKeyId(f"key_{tenant}"),
        tenant=TenantId(tenant),
        user=UserId("benchmark"),
        digest=digest_of(key),
        scopes=frozenset({"models.generate"}),
        created_at=datetime.now(UTC),
    )


async def _serve(folder: Path, upstream: str) -> None:
    async with _node(settings_of(folder, upstream)) as node:
        await serve_until_told(node.address, dict)


if __name__ == "__main__":
    tune()
    with suppress(KeyboardInterrupt):
        uvloop.run(_serve(Path(sys.argv[1]), sys.argv[2]))
