"""A real server process on a free port, that a test may kill and start again.

with ServerProcess(tmp_path, settings) as server:
    with server.client() as client: ...
    server.kill()
    server.start()
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from colonnade.client import Client

PROGRAM = str(Path(sys.executable).with_name("colonnade"))
PATIENCE_S = 30.0


class ServerProcess:
    """`colonnade serve` with settings of the test's own. It keeps its port over restarts."""

    def __init__(self, folder: Path, settings: str = "", *, demo_key: bool = True) -> None:
        self.folder = folder
        self.log = folder / "server.log"
        self.address = f"127.0.0.1:{_free_port()}"
        self.settings = folder / "colonnade.toml"
        self.settings.write_text(f'data_dir = "{folder / "data"}"\n{settings}')
        self._arguments = ["--address", self.address, *(["--demo-key"] if demo_key else [])]
        self.stdin = subprocess.DEVNULL
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start, and wait until it listens."""
        with self.log.open("a") as log:
            self._process = subprocess.Popen(
                [PROGRAM, "serve", "--config", str(self.settings), *self._arguments],
                stdin=self.stdin,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self._process.stdout is not None
        with self._process.stdout as said:  # it says no more than this
            line = said.readline()
        assert line.startswith("listening on"), self.log.read_text()[-3000:]

    def kill(self) -> None:
        """As a crash would end it."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """Ask it to drain and end; the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=PATIENCE_S)

    @property
    def process(self) -> subprocess.Popen[str]:
        """The process of this life."""
        assert self._process is not None
        return self._process

    def client(self, key: str | None = None) -> Client:
        """A client of this server."""
        return Client(address=self.address, key=key)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command of the program against this server and its settings' folder."""
        return subprocess.run(
            [PROGRAM, *arguments],
            env={**os.environ, "COLONNADE_ADDRESS": self.address},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def calls(self) -> list[dict[str, object]]:
        """The log lines of the calls so far."""
        whole = self.log.read_text().rpartition("\n")[0]
        lines = [json.loads(line) for line in whole.splitlines() if line.startswith("{")]
        return [line for line in lines if line.get("event") == "call"]

    def wait_for_call(self, call_id: str) -> dict[str, object]:
        """The log line of one call, which comes just after its status."""
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            for line in self.calls():
                if line["call_id"] == call_id:
                    return line
            time.sleep(0.01)
        raise AssertionError(f"no log line for {call_id}")


def upstream_settings(url: str, *, tier: str = "strong") -> str:
    """Settings in which one deployment `paced` is asked, at this address."""
    return f"""
[deployments.paced]
adapter = "openai"
model = "m"
base_url = "{url}"
tier = "{tier}"
context_window = 100000
max_output_tokens = 8000
prices = {{ input = 1, output = 2 }}
"""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
