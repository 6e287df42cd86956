"""Where a server of POST /rerank is, and which of its few spellings it speaks."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class RerankFormat:
    """One server's way: the field of the documents, and what is said beside them.

    `more` keeps the reply free of the texts themselves, and has too long ones cut off.
    """

    name: str
    documents: str = "documents"
    names_model: bool = True
    more: Mapping[str, object] = field(default_factory=dict)


FORMATS: Mapping[str, RerankFormat] = {
    each.name: each
    for each in (
        RerankFormat("generic"),
        RerankFormat("cohere"),
        RerankFormat("jina", more={"return_documents": False}),
        RerankFormat("vllm", more={"truncate_prompt_tokens": -1}),
        RerankFormat("tei", "texts", False, {"truncate": True, "raw_scores": False}),
    )
}
"""Cohere's and Jina's, and the servers that copy them: llama.cpp's is the generic one."""


@dataclass(frozen=True, slots=True)
class RerankServer:
    """A server. `base_url` ends before `/rerank`.

    Texts are cut at `longest_text` characters, since many servers refuse what is beyond the
    model's window. `headers` win over ours. `ca_file` holds the certificates (PEM) that are
    trusted in place of the machine's; `client_certificate` and `client_key` are shown to it.
    `forward_trace`: it is told the caller's trace.
    """

    base_url: str
    model: str
    format: RerankFormat = FORMATS["generic"]
    api_key: str = field(default="", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    ca_file: Path | None = None
    client_certificate: Path | None = None
    client_key: Path | None = None
    proxy: str | None = field(default=None, repr=False)
    connections: int = 8
    forward_trace: bool = False
    longest_text: int = 8_000

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
