"""`make up` and `make down`: PostgreSQL and NATS that outlive the command."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from colonnaded.settings import load_settings
from servers.standing import Register, Standing, identity_of

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where also the user as whom PostgreSQL runs for root gets through."""
    made = Path(tempfile.mkdtemp(prefix="colonnade-up-"))
    made.chmod(0o755)
    yield made
    servers("down", made)
    shutil.rmtree(made)


def servers(command: str, folder: Path) -> str:
    """Run the command as `make` does; what it prints."""
    done = subprocess.run(
        [sys.executable, "-m", "servers", command, str(folder)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"tests{os.pathsep}."},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout


def standing(folder: Path) -> dict[str, Standing]:
    return dict(Register(folder / "running.json").read())


def test_up_is_idempotent_and_down_stops_what_it_started(folder: Path) -> None:
    told = servers("up", folder)
    first = standing(folder)
    assert {name: each.runs for name, each in first.items()} == {"postgres": True, "nats": True}
    assert servers("up", folder) == told
    assert standing(folder) == first
    assert servers("down", folder) == "stopped: postgres, nats\n"
    assert not any(each.runs for each in first.values())
    assert servers("down", folder) == "stopped: nothing ran\n"


def test_the_settings_are_accepted_and_lead_to_the_servers(folder: Path) -> None:
    told = servers("up", folder)
    file = folder / "colonnade.toml"
    assert file.read_text() in told
    assert f"colonnade serve --config {file}" in told
    settings = load_settings(file)
    assert (settings.state.adapter, settings.bus.adapter) == ("postgres", "nats")
    assert settings.state.url is not None
    with psycopg.connect(settings.state.url.resolve()) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    host, _, port = settings.bus.servers[0].removeprefix("nats://").rpartition(":")
    with socket.create_connection((host, int(port)), timeout=5) as client:
        assert client.recv(4) == b"INFO"


def test_one_that_died_is_started_again_with_its_data_and_its_port(folder: Path) -> None:
    servers("up", folder)
    before = standing(folder)
    url = (folder / "postgres-url").read_text().strip()
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept ()")
    before["postgres"].stop(signal.SIGQUIT)
    servers("up", folder)
    after = standing(folder)
    assert after["nats"] == before["nats"]
    assert after["postgres"].port == before["postgres"].port
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)


def test_down_leaves_another_process_with_the_number_in_peace(folder: Path) -> None:
    stranger = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        recorded = replace(Standing.of(1, stranger.pid), identity="of an earlier process")
        Register(folder / "running.json").write({"nats": recorded})
        assert servers("down", folder) == "stopped: nothing ran\n"
        assert stranger.poll() is None
    finally:
        stranger.communicate(b"\n")


def test_a_process_is_known_by_more_than_its_number() -> None:
    assert identity_of(os.getpid()) == identity_of(os.getpid())
    assert identity_of(os.getpid()) != identity_of(os.getppid())
    assert identity_of(2**22 + 1) == ""
