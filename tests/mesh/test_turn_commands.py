"""`colonnade turns` as an operator and a script use it, against a server with a running turn."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from colonnade.v1.turns_pb2 import TurnEvents
from fakes.language_model import Hang, script
from fakes.served_node import ServedNode, ask, secret_of, served_node
from mesh.server_process import PROGRAM


@dataclass
class Operator:
    """Bob of Acme at his terminal; Ann's turn runs."""

    node: ServedNode
    turn: str

    async def run(self, *arguments: str, tenant: str = "acme") -> subprocess.CompletedProcess[str]:
        """`colonnade turns` with these arguments."""
        return await asyncio.to_thread(
            subprocess.run,
            [PROGRAM, "turns", *arguments],
            env={
                **os.environ,
                "COLONNADE_ADDRESS": self.node.address,
                "COLONNADE_API_KEY": secret_of("bob" if tenant == "acme" else "ann", tenant),
            },
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@asynccontextmanager
async def operator() -> AsyncIterator[Operator]:
    async with served_node(script("Half an answer", Hang())) as node:
        stream = node.stubs.chat.StreamChat(ask(request_id="asked"), metadata=node.key())
        first = await stream.read()
        assert isinstance(first, TurnEvents)
        yield Operator(node, first.events[0].started.turn_id)
        stream.cancel()


async def test_a_running_turn_is_listed_shown_and_cancelled() -> None:
    async with operator() as bob:
        listed = await bob.run("list")
        assert listed.returncode == 0, listed.stderr
        heading, row = listed.stdout.splitlines()
        assert heading.split() == "TURN STATE RUN AGE OWNER LEASE TENANT/USER FLAGS".split()
        assert row.split()[:3] == [bob.turn, "RUNNING", "1"]
        assert "acme/ann" in row
        shown = await bob.run("show", bob.turn)
        facts = dict(line.split("  ", 1) for line in shown.stdout.splitlines())
        assert {name.strip() for name in facts} >= {"owner", "lease", "run", "attempt 1"}
        assert "open, at most" in shown.stdout
        assert "Half an answer" not in shown.stdout
        cancelled = await bob.run("cancel", bob.turn)
        assert cancelled.returncode == 0, cancelled.stderr
        assert cancelled.stdout.startswith(bob.turn)
        async with asyncio.timeout(10):
            while "no turns" not in (await bob.run("list")).stdout:
                pass
        again = await bob.run("cancel", bob.turn)
        assert again.stdout == f"{bob.turn} has ended: CANCELLED\n"


async def test_the_same_for_scripts() -> None:
    async with operator() as bob:
        (row,) = json.loads((await bob.run("list", "--json")).stdout)
        assert (row["turn_id"], row["state"], row["released"]) == (
            bob.turn,
            "TURN_STATE_RUNNING",
            row["released"],
        )
        shown = json.loads((await bob.run("show", bob.turn, "--output", "json")).stdout)
        assert shown["owner"]
        assert [attempt["attempt"] for attempt in shown["attempts"]] == [1]
        assert json.loads((await bob.run("list", "--state", "failed", "--json")).stdout) == []
        stopped = json.loads((await bob.run("cancel", bob.turn, "--json")).stdout)
        assert stopped["cancel"] == "FINISH_REASON_CANCELLED"


async def test_what_is_not_there_or_not_allowed_is_told_by_message_and_code() -> None:
    async with operator() as bob:
        for arguments, tenant, code in (
            (("show", "turn_never"), "acme", 6),
            (("show", bob.turn), "rival", 6),
            (("cancel", bob.turn), "rival", 6),
            (("list", "--all-tenants"), "rival", 5),
            (("show", "t" * 65), "acme", 2),
        ):
            ended = await bob.run(*arguments, tenant=tenant)
            assert (ended.returncode, ended.stdout) == (code, "")
            assert ended.stderr.startswith("colonnade: ")
            assert "Traceback" not in ended.stderr
