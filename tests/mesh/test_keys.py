"""Keys of a real server: made by a command, and never seen again anywhere."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from colonnade.client import Client, ColonnadeError
from mesh.server_process import ServerProcess


def refusal(client: Client) -> str:
    with client, pytest.raises(ColonnadeError) as refused:
        client.ask("Hello?")
    return refused.value.reason


def test_a_key_opens_what_it_may_and_leaves_no_trace(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, demo_key=False) as server:
        settings = ("--config", str(server.settings), "--output", "json")
        made = server.run("keys", "create", "--tenant", "acme", "--scope", "models.read", *settings)
        secret = json.loads(made.stdout)["secret"]
        with server.client(secret) as client:  # made while the server runs
            assert [model.name for model in client.models.list()]
        assert refusal(server.client(secret)) == "SCOPE_MISSING"
        assert refusal(server.client(secret + "0")) == "CREDENTIALS_INVALID"
        assert refusal(server.client()) == "CREDENTIALS_MISSING"
        shown = server.run("keys", "list", "--tenant", "acme", *settings)
        (line,) = [call for call in server.calls() if call["reason"] == "SCOPE_MISSING"]
        assert (line["tenant_id"], line["user_id"]) == ("acme", "default")
    kept = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(kept) > 2
    for text in (shown.stdout.encode(), *(path.read_bytes() for path in kept)):
        assert secret.encode() not in text
        assert secret.removeprefix("ck_").encode() not in text
