"""Programs that are not ours, as processes of their own: a provider's stand-in, other gateways."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.gatewaying.upstream import AT_ONCE, PACED

_READY_S = 60.0
_TICKS = os.sysconf("SC_CLK_TCK")


class Foreign:
    """A process that listens on a port of this machine, with those that it started itself."""

    def __init__(
        self, process: subprocess.Popen[bytes], port: int, headers: dict[str, str]
    ) -> None:
        self._process = process
        self.address = f"127.0.0.1:{port}"
        self.headers = headers

    def cpu_s(self) -> float:
        """The CPU time of all its processes, in ticks of the kernel's own account."""
        return sum(_ticks(number) for number in _family(self._process.pid)) / _TICKS


def _family(process: int) -> Iterator[int]:
    yield process
    for thread in Path(f"/proc/{process}/task").iterdir():
        for started in (thread / "children").read_text().split():
            yield from _family(int(started))


def _ticks(process: int) -> int:
    """User and system time: the 14th and 15th field of `proc_pid_stat(5)`."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


@contextmanager
def mock(program: str) -> Iterator[Foreign]:
    """A compiled provider, called as `PROGRAM PORT CHUNKS`."""
    port = _free_port()
    with _running([program, str(port), "64"], port) as started:
        yield started


@contextmanager
def litellm(program: str, upstream: str, folder: Path) -> Iterator[Foreign]:
    """LiteLLM's proxy, by its executable."""
    port, config = _free_port(), folder / "litellm.json"
    base = f"http://{upstream}/v1"
    models = [
        {
            "model_name": model,
            "litellm_params": {"model": f"openai/{model}", "api_base": base, "api_key": "none"},
        }
        for model in (AT_ONCE, PACED)
    ]
    config.write_text(json.dumps({"model_list": models}))  # JSON is YAML, too
    command = [program, "--config", str(config), "--port", str(port), "--host", "127.0.0.1"]
    with _running(command, port) as started:
        yield started


@contextmanager
def portkey(program: str, upstream: str) -> Iterator[Foreign]:
    """Portkey's gateway, by its `start-server.js`."""
    port = _free_port()
    headers = {"x-portkey-provider": "openai", "x-portkey-custom-host": f"http://{upstream}/v1"}
    with _running(["node", program, f"--port={port}", "--headless"], port, headers) as started:
        yield started


@contextmanager
def _running(
    command: list[str], port: int, headers: dict[str, str] | None = None
) -> Iterator[Foreign]:
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet)
    try:
        _wait_for(process, port)
        yield Foreign(process, port, headers or {})
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for(process: subprocess.Popen[bytes], port: int) -> None:
    until = time.monotonic() + _READY_S
    while time.monotonic() < until:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args!r} ended with {process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"{process.args!r} does not listen on port {port}")


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port
