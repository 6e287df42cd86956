"""An embedding server as the settings tell of it: where it is, what it wants, how it is reached."""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from adapters.embedders.batching import BatchLimits
from core.identifiers import EmbedderName, Seconds
from core.resilience.retries import RetryPolicy

DEFAULT_TIMEOUT = Seconds(30.0)


@dataclass(frozen=True, slots=True)
class EmbeddingServer:
    """Where the server is and how it wants to be asked.

    `base_url` ends before `/embeddings`, mostly in `/v1`. `name` is what collections record: give
    it one of your own if the same model name may mean other weights some day. `timeout` bounds
    each request. Texts are cut at `longest_text` characters, since many servers refuse what is
    beyond the model's window; the default fits 8,192 tokens. `shorten` asks the server for
    vectors of `dimensions` where the model can make longer ones. Of one call, `at_once` batches
    are under way together; each is sent again as `retry` says.

    `headers` go with every request, and win over ours. `ca_file` holds the certificates (PEM)
    that are trusted, in place of the machine's; `client_certificate` and `client_key` (PEM; the
    key may be in the first) are shown to the server.
    """

    base_url: str
    model: str
    dimensions: int
    api_key: str = field(default="", repr=False)
    name: str = ""
    languages: frozenset[str] = frozenset()
    query_prefix: str = ""
    document_prefix: str = ""
    batch: BatchLimits = field(default_factory=lambda: BatchLimits(64, 200_000))
    timeout: Seconds = DEFAULT_TIMEOUT
    connections: int = 8
    at_once: int = 4
    retry: RetryPolicy = RetryPolicy()
    longest_text: int = 8_000
    shorten: bool = False
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    ca_file: Path | None = None
    client_certificate: Path | None = None
    client_key: Path | None = None
    proxy: str | None = field(default=None, repr=False)

    @property
    def recorded_name(self) -> EmbedderName:
        """The name in the settings, else made of all that makes the vectors what they are."""
        if self.name:
            return EmbedderName(self.name)
        plain = f"remote-{self.model}-{self.dimensions}"
        if not (self.query_prefix or self.document_prefix):
            return EmbedderName(plain)
        prefixes = f"{self.query_prefix}\0{self.document_prefix}".encode()
        return EmbedderName(f"{plain}@{hashlib.sha256(prefixes).hexdigest()[:8]}")

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
