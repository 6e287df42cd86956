"""`python -m servers up|down`: PostgreSQL and NATS for a developer, on loopback.

Both keep their data in a folder of the checkout and their ports from one start to the next. `up`
starts what does not run and writes the settings for `colonnade serve --config`; `down` stops
exactly what `up` has started.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

from servers.nats import NatsServer
from servers.postgres import PostgresServer
from servers.standing import Register, Standing

FOLDER = Path(__file__).parents[2] / ".colonnade" / "servers"
DATABASE = "colonnade"
_STOPS = {"postgres": signal.SIGINT, "nats": signal.SIGTERM}
"""How each is asked to end in good order."""


@dataclass(frozen=True)
class Servers:
    """The servers of one folder."""

    folder: Path

    @property
    def settings_file(self) -> Path:
        """What `colonnade serve --config` takes."""
        return self.folder / "colonnade.toml"

    def up(self) -> str:
        """Start what does not run; the settings."""
        self._make_folder()
        with self._register.alone():
            known = dict(self._register.read())
            for name, start in (("postgres", self._postgres), ("nats", self._nats)):
                before = known.get(name)
                if before is None or not before.runs:
                    known[name] = start(before)
                    self._register.write(known)
            return self._write_settings(known["nats"].port)

    def down(self) -> list[str]:
        """Stop what runs; the names of what was stopped."""
        if not self.folder.exists():
            return []
        with self._register.alone():
            running = {name: each for name, each in self._register.read().items() if each.runs}
            for name, server in running.items():
                server.stop(_STOPS[name])
        return list(running)

    @property
    def _register(self) -> Register:
        return Register(self.folder / "running.json")

    def _make_folder(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        blocked = [
            each for each in self.folder.resolve().parents if not each.stat().st_mode & 0o001
        ]
        if os.geteuid() == 0 and blocked:
            raise SystemExit(
                f"PostgreSQL does not run as root, and nobody else gets through {blocked[0]}: "
                "run this as another user, or let others pass there (chmod o+x)"
            )

    def _postgres(self, before: Standing | None) -> Standing:
        folder = self.folder / "postgres"
        server = PostgresServer(folder, durable=True)
        if before is not None and _is_free(before.port):
            server.port = before.port
        is_new = not (folder / "data" / "PG_VERSION").exists()
        if is_new:
            folder.mkdir(exist_ok=True)
            server.initialise()
        server.start()
        if is_new:
            server.make_owner()
            server.new_database(name=DATABASE)
        secret = self.folder / "postgres-url"
        secret.touch(mode=0o600)
        secret.write_text(server.url(DATABASE) + "\n")
        return Standing.of(server.port, server.process_id)

    def _nats(self, before: Standing | None) -> Standing:
        port = before.port if before is not None and _is_free(before.port) else -1
        server = NatsServer(self.folder / "nats", port=port)
        server.start()
        return Standing.of(server.port, server.process_id)

    def _write_settings(self, nats_port: int) -> str:
        url = self.folder / "postgres-url"
        settings = (
            f'data_dir = "{self.folder / "data"}"\n\n'
            f'[state]\nadapter = "postgres"\nurl = {{ file = "{url}" }}\n\n'
            f'[bus]\nadapter = "nats"\nservers = ["nats://127.0.0.1:{nats_port}"]\n'
        )
        self.settings_file.write_text(settings)
        return settings


def _is_free(port: int) -> bool:
    """Whether a server may have the port that it had before."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def main(arguments: list[str]) -> None:
    """Do what the first argument says, in the folder that the second may name."""
    match arguments:
        case ["up", *folder]:
            servers = Servers(Path(*folder or (FOLDER,)).resolve())
            print(servers.up())
            print(f"These settings are in {servers.settings_file}; use them with:")
            print(f"colonnade serve --config {servers.settings_file}")
        case ["down", *folder]:
            stopped = Servers(Path(*folder or (FOLDER,)).resolve()).down()
            print("stopped: " + (", ".join(stopped) or "nothing ran"))
        case _:
            raise SystemExit("python -m servers up|down [FOLDER]")


if __name__ == "__main__":
    main(sys.argv[1:])
