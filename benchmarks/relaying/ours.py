"""The server under measure: the real container with its settings, and a scripted model.

    python -m benchmarks.relaying.ours FOLDER

Everything is on: keys, validation, the log before each message, leases, settlement, ledger, log
lines. FOLDER gets the state. Only the model is a stand-in, so that it costs nothing.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

import uvloop
from dependency_injector import providers

from benchmarks.relaying.processes import serve_until_told, tune
from benchmarks.relaying.scripted import DEPLOYMENT, ScriptedModel
from benchmarks.relaying.source import KEY
from colonnaded.container import Container
from colonnaded.node import serving
from colonnaded.settings import Settings
from core.api_keys import ApiKey, digest_of
from core.catalog import Catalog
from core.identifiers import ApiKeyId, TenantId, UserId
from core.ports.state import EVERY_TENANT, Scope, State, Transaction
from services.models.deployments import Deployments, LiveDeployments

TENANT = TenantId("benchmark")


class TimedState:
    """The state, with the time that each commit of the turn writer took, in milliseconds."""

    def __init__(self, state: State, commits: deque[float]) -> None:
        self._state = state
        self._commits = commits
        self.snapshot = state.snapshot
        self.close = state.close

    def transaction(self, scope: Scope) -> AbstractAsyncContextManager[Transaction]:
        """See State.transaction."""
        block = self._state.transaction(scope)
        return _Timed(block, self._commits) if scope is EVERY_TENANT else block


class _Timed(AbstractAsyncContextManager[Transaction]):
    def __init__(
        self, block: AbstractAsyncContextManager[Transaction], commits: deque[float]
    ) -> None:
        self._block = block
        self._commits = commits

    async def __aenter__(self) -> Transaction:
        self._began = time.perf_counter()
        return await self._block.__aenter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._block.__aexit__(kind, error, traceback)
        self._commits.append((time.perf_counter() - self._began) * 1000)


@asynccontextmanager
async def _node(folder: Path, commits: deque[float]) -> AsyncIterator[str]:
    """The node while it serves, and its address."""
    states: list[State] = []
    opened: Any = Container.state.provides

    async def timed(*given: object) -> AsyncIterator[State]:
        async with opened(*given) as state:
            states.append(state)
            yield TimedState(state, commits)

    def exchange(container: Container) -> None:
        catalog = Catalog({DEPLOYMENT.name: DEPLOYMENT}, {})
        live = LiveDeployments(Deployments(catalog, {DEPLOYMENT.name: ScriptedModel()}))
        container.deployments.override(providers.Object(live))
        container.state.override(providers.Resource(timed, *container.state.args))

    limits = {"max_running": 4096, "max_running_per_tenant": 4096}
    server = {"address": "127.0.0.1:0", "max_concurrent_calls": 8192}
    settings = Settings.model_validate({"data_dir": folder, "server": server, "turns": limits})
    async with serving(settings, exchange) as node:
        async with states[0].transaction(TENANT) as tx:
            tx.api_keys.insert(_key())
        yield node.address


def _key() -> ApiKey:
    return ApiKey(
        id=ApiKeyId("key_benchmark"),
        tenant=TENANT,
        user=UserId("benchmark"),
        digest=digest_of(KEY),
        scopes=frozenset({"chat.read", "chat.write"}),
        created_at=datetime.now(UTC),
    )


async def _serve(folder: Path) -> None:
    commits: deque[float] = deque(maxlen=1_000_000)

    def report() -> Mapping[str, object]:
        taken = list(commits)
        commits.clear()
        return {"commits_ms": taken}

    async with _node(folder, commits) as address:
        await serve_until_told(address, report)


if __name__ == "__main__":
    tune()
    with suppress(KeyboardInterrupt):
        uvloop.run(_serve(Path(sys.argv[1])))
