"""Recorded exchanges with real providers: folders of VCR's YAML files.

An exchange has `request` (method, uri, `parsed_body` or `body`) and `response` (status, headers,
`parsed_body` or `body.string`). Only POSTs to a format that we speak are of use; uploads,
pictures and other company in a recording are passed over.
"""

from __future__ import annotations

import gzip
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from fakes.replaying_server import Recorded

_FORMATS = (
    (re.compile(r"/openai/deployments/[^/]+/chat/completions$"), "azure"),
    (re.compile(r"/chat/completions$"), "chat"),
    (re.compile(r"/responses$"), "responses"),
    (re.compile(r"/messages$"), "messages"),
    (re.compile(r":(streamGenerateContent|generateContent)$"), "gemini"),
)


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and its response, in one of our formats."""

    number: int
    format: str
    uri: str
    response: Recorded

    @property
    def is_stream(self) -> bool:
        """Whether the response is one of server-sent events."""
        return "text/event-stream" in self.response.headers.get("content-type", "")


def recorded_folder() -> Path | None:
    """The folder of recordings: COLONNADE_RECORDINGS, else `provider-wire` in COLONNADE_DATA."""
    if own := os.environ.get("COLONNADE_RECORDINGS"):
        return Path(own)
    data = os.environ.get("COLONNADE_DATA")
    folder = Path(data) / "provider-wire" if data else None
    return folder if folder is not None and folder.is_dir() else None


def recording_files(folder: Path | None) -> list[Path]:
    """Every recording in a folder, below it too, in order of their paths."""
    if folder is None:
        return []
    return sorted(path for end in ("yaml", "yml") for path in folder.rglob(f"*.{end}"))


def exchanges(file: Path) -> Iterator[Exchange]:
    """The exchanges of one recording that we can replay."""
    said = yaml.load(file.read_text(encoding="utf-8"), yaml.CSafeLoader) or {}
    for number, one in enumerate(said.get("interactions", ())):
        request = one["request"]
        uri = str(request["uri"]).partition("#")[0]
        path = uri.partition("?")[0]
        known = [format for pattern, format in _FORMATS if pattern.search(path)]
        if known and str(request["method"]).upper() == "POST":
            yield Exchange(number, known[0], uri, _response(one["response"]))


def _response(said: dict[str, Any]) -> Recorded:
    headers = {
        str(name).lower(): str(values[0] if isinstance(values, list) else values)
        for name, values in said["headers"].items()
    }
    if "parsed_body" in said:
        body = json.dumps(said["parsed_body"], ensure_ascii=False).encode()
    else:
        string = (said.get("body") or {}).get("string") or b""
        body = string if isinstance(string, bytes) else string.encode()
    if body.startswith(b"\x1f\x8b"):
        body = gzip.decompress(body)
    is_json = body.lstrip().startswith((b"{", b"["))
    headers.setdefault("content-type", "application/json" if is_json else "text/event-stream")
    return Recorded(body, int(said["status"]["code"]), headers)
