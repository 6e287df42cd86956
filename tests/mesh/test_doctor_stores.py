"""The doctor asks the servers that the settings name, and tells no secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from colonnaded.doctor_stores import examine_stores
from colonnaded.finding import Finding, Standing
from colonnaded.settings import Settings
from servers.nats import NatsServer, nats_server
from servers.postgres import PASSWORD, PostgresServer

__all__ = ["nats_server"]


def examined(url: str, nats: str, monkeypatch: pytest.MonkeyPatch) -> list[Finding]:
    monkeypatch.setenv("TEST_STATE_URL", url)
    settings = Settings(
        state={"adapter": "postgres", "url": {"env": "TEST_STATE_URL"}},
        bus={"adapter": "nats", "servers": [nats]},
    )
    return list(examine_stores(settings))


def test_servers_that_answer_are_good(
    postgres_server: PostgresServer, nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = postgres_server.url("postgres")
    found = examined(url, nats_server.url, monkeypatch)
    assert [(f.subject, f.standing) for f in found] == [
        ("store", Standing.GOOD),
        ("bus", Standing.GOOD),
    ]


def test_servers_that_are_not_there_are_broken_and_the_password_is_not_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url = f"postgresql://colonnade:{PASSWORD}@127.0.0.1:1/none"
    found = examined(url, "nats://127.0.0.1:1", monkeypatch)
    assert [f.standing for f in found] == [Standing.BROKEN] * 2
    assert all(f.remedy for f in found)
    assert PASSWORD not in str(found)


def test_a_role_that_no_wall_holds_is_broken(
    postgres_server: PostgresServer, nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"postgresql://postgres@127.0.0.1:{postgres_server.port}/postgres"
    store, _ = examined(url, nats_server.url, monkeypatch)
    assert store.standing is Standing.BROKEN
    assert "row-level security" in store.detail


def test_what_lies_in_the_data_directory_needs_no_server(tmp_path: Path) -> None:
    assert list(examine_stores(Settings(data_dir=tmp_path))) == []
