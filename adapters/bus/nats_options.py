"""How to reach NATS, and who is told how that goes."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from core.identifiers import Seconds

_PREFIX = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")


@dataclass(frozen=True, slots=True)
class NatsTls:
    """Encrypt, and refuse a server that does not. `ca` None: the system's authorities.

    With `certificate` and `key` the server knows who we are by them.
    """

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = field(default=None, repr=False)
    server_name: str | None = None


@dataclass(frozen=True, slots=True)
class NatsOptions:
    """Where NATS is. Secrets are never shown.

    `required`: opening fails where no server answers; else the bus keeps trying. `prefix` keeps
    installations apart that share a NATS; its subjects are `prefix.turn.*.*`, `prefix.owner.*`
    and `prefix.everyone.*`. After a failure the next try comes within `backoff` seconds, twice
    that each time, up to `backoff_cap`. A server that does not answer for `heartbeat` is lost.
    """

    servers: tuple[str, ...]
    required: bool = False
    prefix: str = "colonnade"
    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    tls: NatsTls | None = None
    most_waiting: int = 10_000
    connect_timeout: Seconds = Seconds(2.0)
    heartbeat: Seconds = Seconds(2.0)
    backoff: Seconds = Seconds(0.1)
    backoff_cap: Seconds = Seconds(5.0)

    def __post_init__(self) -> None:
        """Refuse what would put a secret into a log, or a subject out of its place."""
        if not self.servers:
            raise ValueError("name at least one NATS server")
        for server in self.servers:
            _check_server(server)
        if not _PREFIX.fullmatch(self.prefix):
            raise ValueError("a prefix is letters, digits, - and _, parted by dots")
        if (self.user is None) != (self.password is None):
            raise ValueError("a user and a password belong together")
        if self.user is not None and self.token is not None:
            raise ValueError("name a user or a token, not both")


def _check_server(server: str) -> None:
    parts = urlsplit(server)
    if "@" in parts.netloc:
        raise ValueError("a server's address holds no user and no password; they have options")
    if parts.scheme not in {"nats", "tls"} or not parts.hostname:
        raise ValueError(f"a server's address is nats://HOST:PORT or tls://HOST:PORT: {server!r}")


@dataclass(frozen=True, slots=True)
class NatsWatch:
    """Called on the loop, and back at once: a dropped notice; connected; or why not.

    `disconnected` is told each cause once, not each failed try, until the bus is connected again.
    """

    dropped: Callable[[], None] = lambda: None
    connected: Callable[[], None] = lambda: None
    disconnected: Callable[[str], None] = lambda _cause: None
