"""A server that stops, stalls or is cut off: what callers are told, and what is left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import psycopg
import pytest

from adapters.state.postgres.state import PostgresState
from contracts.state_samples import ACME, ANN, TALK, a_conversation
from core.identifiers import ConversationId, Seconds
from core.ports.state import StoreConflict, StoreUnavailable
from fakes.state_steps import failure, keep, opened, titles, until
from servers.cutting_proxy import CuttingProxy
from servers.postgres import PostgresServer

READ_ONLY = "default_transaction_read_only"


@pytest.fixture
async def state(postgres_url: str) -> AsyncIterator[PostgresState]:
    async with opened(postgres_url) as it:
        yield it


class TestLostAnswers:
    @pytest.fixture
    async def proxied(self, postgres_url: str) -> AsyncIterator[tuple[PostgresState, CuttingProxy]]:
        port = int(postgres_url.split(":")[3].split("/", maxsplit=1)[0])
        async with CuttingProxy.before(port) as proxy:
            url = postgres_url.replace(f":{port}/", f":{proxy.port}/")
            async with opened(url, statement_timeout=Seconds(0.5)) as it:
                await keep(it, "before")
                yield it, proxy

    async def test_a_commit_whose_answer_is_lost_may_have_happened(
        self, proxied: tuple[PostgresState, CuttingProxy]
    ) -> None:
        state, proxy = proxied
        proxy.lose_answer = True
        assert not (await failure(state, "done")).outcome_known
        assert await titles(state) == {"before", "done"}

    async def test_a_commit_that_is_lost_may_have_happened_too(
        self, proxied: tuple[PostgresState, CuttingProxy]
    ) -> None:
        state, proxy = proxied
        proxy.lose_request = True
        assert not (await failure(state, "lost")).outcome_known
        assert await titles(state) == {"before"}

    async def test_before_the_commit_nothing_has_happened(
        self, proxied: tuple[PostgresState, CuttingProxy]
    ) -> None:
        state, proxy = proxied

        async def cut_within() -> None:
            async with state.transaction(ACME) as tx:
                tx.conversations.insert(a_conversation("lost"))
                await tx.conversations.get(TALK)
                proxy.cut()
                await tx.conversations.get(TALK)

        with pytest.raises(StoreUnavailable) as failed:
            await cut_within()
        assert failed.value.outcome_known
        assert await titles(state) == {"before"}

    async def test_idle_connections_that_were_cut_are_not_noticed(
        self, proxied: tuple[PostgresState, CuttingProxy]
    ) -> None:
        state, proxy = proxied
        for number in range(5):
            proxy.cut()
            assert "before" in await titles(state), number

    async def test_a_server_that_says_nothing_is_given_up(
        self, proxied: tuple[PostgresState, CuttingProxy]
    ) -> None:
        state, proxy = proxied
        proxy.is_frozen = True
        failed = await failure(state, "silent")
        assert not failed.outcome_known
        assert "in time" in str(failed)
        proxy.is_frozen = False
        await keep(state, "after")
        assert await titles(state) == {"before", "after"}


class TestRestarts:
    @pytest.fixture
    def own_server(self) -> Iterator[PostgresServer]:
        with PostgresServer.started() as server:
            yield server

    @pytest.mark.parametrize("how", ["stop", "kill"])
    async def test_is_waited_through_under_load(self, own_server: PostgresServer, how: str) -> None:
        """Who is told that nothing happened tries again; nobody is told a falsehood."""
        async with opened(own_server.url(own_server.new_database())) as state:
            told: dict[str, bool | None] = {}
            ending = asyncio.Event()

            async def client(name: int) -> None:
                number = 0
                while not ending.is_set():
                    id = f"{name}-{number}"
                    number += 1
                    try:
                        await keep(state, id)
                        told[id] = True
                    except StoreUnavailable as failed:
                        told[id] = False if failed.outcome_known else None

            clients = [asyncio.create_task(client(name)) for name in range(8)]
            await until(lambda: len(told) >= 40)
            await asyncio.to_thread(getattr(own_server, how))
            before = len(told)
            await asyncio.to_thread(own_server.start)
            await until(lambda: len(told) >= before + 40)
            ending.set()
            await asyncio.gather(*clients)
            async with state.snapshot(ACME) as tx:
                found = {row.id for row in await tx.conversations.list(ANN, 10**6, None)}
            assert {id for id, well in told.items() if well} <= found
            assert not {id for id, well in told.items() if well is False} & found

    async def test_one_that_begins_meanwhile_waits(self, own_server: PostgresServer) -> None:
        async with opened(own_server.url(own_server.new_database())) as state:
            await keep(state, "before")
            await asyncio.to_thread(own_server.stop)
            waiting = asyncio.create_task(keep(state, "meanwhile"))
            await asyncio.sleep(0.1)
            assert not waiting.done()
            await asyncio.to_thread(own_server.start)
            await waiting
            assert await titles(state) == {"before", "meanwhile"}

    async def test_one_that_stays_away_is_said_to_be(self, own_server: PostgresServer) -> None:
        url = own_server.url(own_server.new_database())
        async with opened(url, acquire_timeout=Seconds(0.3)) as state:
            await asyncio.to_thread(own_server.stop)
            failed = await failure(state, "never")
            assert failed.outcome_known
            assert "cannot be reached" in str(failed)


class TestOthers:
    async def test_a_circle_of_waits_is_broken_and_tried_again(self, state: PostgresState) -> None:
        """One of them is undone. It had decided nothing, and begins anew."""
        async with state.transaction(ACME) as tx:
            tx.conversations.insert(a_conversation("a"))
            tx.conversations.insert(a_conversation("b"))

        async def rename(first: str, second: str, title: str) -> None:
            async with state.transaction(ACME) as tx:
                for id in (first, second):
                    tx.conversations.update(replace(a_conversation(id), title=title))

        await asyncio.gather(
            *(rename("a", "b", f"x{n}") for n in range(8)),
            *(rename("b", "a", f"y{n}") for n in range(8)),
        )
        async with state.snapshot(ACME) as tx:
            rows = [await tx.conversations.get(ConversationId(id)) for id in "ab"]
        assert len({row.title for row in rows if row is not None}) == 1

    async def test_a_server_that_may_only_be_read_from_is_away(
        self, state: PostgresState, postgres_url: str
    ) -> None:
        name = postgres_url.rsplit("/", 1)[1]
        await keep(state, "before")
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            connection.execute(
                f"ALTER DATABASE {name} SET default_transaction_read_only = on".encode()
            )
        state._house.pool._idle[0].close()
        refused = await failure(state, "refused")
        assert refused.outcome_known
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            connection.execute(f"SET {READ_ONLY} = off".encode())
            connection.execute(
                f"ALTER DATABASE {name} RESET default_transaction_read_only".encode()
            )
        await keep(state, "after")
        assert await titles(state) == {"before", "after"}

    async def test_a_conflict_tells_nothing_of_the_rows(self, state: PostgresState) -> None:
        await keep(state, "secret-name")
        with pytest.raises(StoreConflict) as conflict:
            await keep(state, "secret-name")
        assert "secret-name" not in str(conflict.value)
