"""A server that is told to read its settings again: by a signal, and by the command."""

from __future__ import annotations

import json
import os
import pty
import signal
import time
from pathlib import Path

from mesh.server_process import PATIENCE_S, ServerProcess, upstream_settings

ONE = upstream_settings("http://127.0.0.1:1/v1")
TWO = ONE + upstream_settings("http://127.0.0.1:2/v1").replace(
    "deployments.paced", "deployments.two"
)


def write(server: ServerProcess, text: str) -> None:
    first = server.settings.read_text().splitlines()[0]
    server.settings.write_text(f"{first}\n{text}")


def told(server: ServerProcess, event: str) -> list[dict[str, object]]:
    """The lines of this event, once there is one."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        lines = [json.loads(line) for line in server.log.read_text().splitlines()]
        if found := [line for line in lines if line["event"] == event]:
            return found
        time.sleep(0.05)
    raise AssertionError(f"nothing was told of {event}")


def test_by_a_signal_and_by_a_command(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, ONE) as server:
        write(server, TWO)
        server.process.send_signal(signal.SIGHUP)
        [line] = told(server, "reloaded")
        assert "deployments.two.base_url" in str(line["applied_keys"])
        with server.client() as client:
            assert "two" in {model.name for model in client.models.list()}
        write(server, ONE + "[metrics]\naddress = '127.0.0.1:0'\n")
        done = server.run("config", "reload")
        assert done.returncode == 0
        assert "deployments.two.model: counts now" in done.stdout
        assert "metrics.address: counts once the server is started again" in done.stdout
        write(server, ONE + "[breaker]\nshare = 5\n")
        refused = server.run("config", "reload")
        assert refused.returncode == 2
        assert "breaker.share" in refused.stderr
        server.process.send_signal(signal.SIGHUP)
        [line] = told(server, "reload_refused")
        assert "breaker.share" in str(line["problems"])
        assert server.process.poll() is None


def test_the_end_of_its_terminal_ends_a_server(tmp_path: Path) -> None:
    ours, its = pty.openpty()
    server = ServerProcess(tmp_path)
    server.stdin = its
    with server:
        server.process.send_signal(signal.SIGHUP)
        assert server.process.wait(timeout=PATIENCE_S) == 0
    os.close(ours)
    os.close(its)
