"""Servers that go on after the program that started them, until they are stopped by name.

What runs is recorded with enough to know it again: a process id alone may by now be another's.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

_STOP_S = 15.0


@dataclass(frozen=True)
class Standing:
    """A server that was started: where it listens, and which process it is."""

    port: int
    process_id: int
    identity: str

    @classmethod
    def of(cls, port: int, process_id: int) -> Standing:
        """The server that runs as this process now."""
        return cls(port, process_id, identity_of(process_id))

    @property
    def runs(self) -> bool:
        """Whether it is still there, and not another process with its number."""
        return bool(self.identity) and identity_of(self.process_id) == self.identity

    def stop(self, how: signal.Signals) -> None:
        """End it, and wait for that. One that does not run is left in peace."""
        if not self.runs:
            return
        os.kill(self.process_id, how)
        until = time.monotonic() + _STOP_S
        while self.runs:
            if time.monotonic() > until:
                raise RuntimeError(f"process {self.process_id} does not end")
            time.sleep(0.02)


@dataclass(frozen=True)
class Register:
    """The file in which the servers of one folder stand."""

    file: Path

    def read(self) -> Mapping[str, Standing]:
        """The servers by name, those included that have died since."""
        if not self.file.exists():
            return {}
        found = json.loads(self.file.read_text())
        return {name: Standing(**each) for name, each in found.items()}

    def write(self, servers: Mapping[str, Standing]) -> None:
        """Put these in the place of all."""
        text = json.dumps({name: asdict(each) for name, each in servers.items()}, indent=1)
        beside = self.file.with_suffix(".new")
        beside.write_text(text + "\n")
        beside.replace(self.file)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody else starts or stops servers of this folder within the block."""
        import fcntl

        with self.file.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def identity_of(process_id: int) -> str:
    """When the process began, and its program's name; empty where there is none, or a dead one."""
    if Path("/proc/self/stat").exists():
        return _by_proc(process_id)
    return _by_ps(process_id)


def _by_proc(process_id: int) -> str:
    try:
        text = Path(f"/proc/{process_id}/stat").read_text()
    except OSError:
        return ""
    name, _, rest = text.partition("(")[2].rpartition(")")
    fields = rest.split()  # from the third of proc_pid_stat(5) on: the state, and so on
    return "" if fields[0] == "Z" else f"{fields[19]} {name}"


def _by_ps(process_id: int) -> str:
    asked = subprocess.run(
        ["ps", "-o", "stat=,lstart=,comm=", "-p", str(process_id)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "LC_ALL": "C", "TZ": "UTC"},
    )
    status, _, rest = asked.stdout.strip().partition(" ")
    return "" if status.startswith("Z") else " ".join(rest.split())
