"""Where a provider is, what proves who we are to it, and how it is reached."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from adapters.models.time_limits import TimeLimits
from core.identifiers import Seconds

_HIDDEN = "[hidden]"
_SHORTEST_SECRET = 6  # shorter values of headers are words, not secrets

Token = Callable[[], Awaitable[str]]
"""Gives a token that is valid now; asked before each request."""


@dataclass(frozen=True, slots=True)
class Upstream:
    """A provider's server.

    `base_url` ends before the format's own path, mostly in `/v1`. `api_key` goes where the format
    has it, and takes turns with `more_keys` where there are some; a `token` goes as
    `Authorization: Bearer`, in the key's place. `headers` go with every request, and win over
    ours. `ca_file` holds the certificates (PEM) that are trusted, in place of the machine's;
    `client_certificate` and `client_key` (PEM; the key may be in the first) are shown to the
    server. Connections that idle for longer than `keep_alive` are closed: many
    servers do so after five seconds, and a request that crosses that is lost. `connections`
    bounds those that are open at once; 0 does not, since the callers have their own limits.
    `tokenizer` is the model's `tokenizer.json`. `forward_trace`: it is told the caller's trace.
    `key_rested` is told why, whenever one of several keys is left alone for a while.
    """

    base_url: str
    api_key: str = field(default="", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    limits: TimeLimits = field(default_factory=TimeLimits)
    ca_file: Path | None = None
    client_certificate: Path | None = None
    client_key: Path | None = None
    proxy: str | None = field(default=None, repr=False)
    connections: int = 0
    keep_alive: Seconds = Seconds(4.0)
    tokenizer: Path | None = None
    token: Token | None = field(default=None, repr=False)
    more_keys: tuple[str, ...] = field(default=(), repr=False)
    key_rested: Callable[[str], None] = field(default=lambda _: None, repr=False, compare=False)
    forward_trace: bool = False

    def trust(self) -> ssl.SSLContext | bool:
        """How its certificate is checked and ours is shown; True is the machine's own way.

        Raises FileNotFoundError or ssl.SSLError where a file cannot be used.
        """
        if self.ca_file is None and self.client_certificate is None:
            return True
        context = ssl.create_default_context(cafile=self.ca_file)
        if self.client_certificate is not None:
            context.load_cert_chain(self.client_certificate, self.client_key)
        return context

    def hide(self, text: str, token: str = "") -> str:
        """The text without our secrets, for errors and logs."""
        for secret in (self.api_key, *self.more_keys, token, *self.headers.values()):
            if len(secret) >= _SHORTEST_SECRET:
                text = text.replace(secret, _HIDDEN)
        return text
