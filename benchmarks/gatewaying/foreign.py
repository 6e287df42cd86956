"""Programs that are not ours, as processes of their own: a provider's stand-in, other gateways."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
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
    """LiteLLM's proxy, by its executable. It checks no keys and records nothing."""
    port, config = _free_port(), folder / "litellm.json"
    base = f"http://{upstream}/v1"
    models = [
        {
            "model_name": model,
            "litellm_params": {"model": f"openai/{model}", "api_base": base, "api_key": "none"},
        }
        for model in (AT_ONCE, PACED)
    ]
    general = {"dangerously_permit_weak_or_unset_master_key": True}  # it wants to be told so
    settings = {"model_list": models, "general_settings": general}
    config.write_text(json.dumps(settings))  # JSON is YAML, too
    command = [program, "--config", str(config), "--port", str(port), "--host", "127.0.0.1"]
    with _running(command, port) as started:
        yield started


@contextmanager
def portkey(program: str, upstream: str) -> Iterator[Foreign]:
    """Portkey's gateway, by its `start-server.js`.

    With @hono/node-server 1.14 or later its version 1.15.2 answers every stream with 500 (it
    writes to headers that are then the provider's own): install it with 1.13.8, by npm's
    `overrides`.
    """
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
        started = Foreign(process, port, headers or {})
        for stream in (False, True):
            _try(started, stream=stream)
        yield started
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _try(started: Foreign, *, stream: bool) -> None:
    """One answer, so that who cannot give it is told before anything is measured."""
    asked = {"model": AT_ONCE, "messages": [{"role": "user", "content": "Hi"}], "stream": stream}
    headers = {"Content-Type": "application/json", "Authorization": "Bearer x", **started.headers}
    url = f"http://{started.address}/v1/chat/completions"
    request = urllib.request.Request(url, json.dumps(asked).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=_READY_S) as answer:
            answer.read()
    except urllib.error.HTTPError as refused:
        what = "a stream" if stream else "an answer in one piece"
        raise RuntimeError(f"{started.address} gives no {what}: {refused}") from None


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
