"""A folder name for any text, so that no name escapes its place or meets another's."""

from __future__ import annotations

import hashlib
import re

_PLAIN = re.compile(rb"[a-z0-9_-]+")
_LONGEST = 120
"""Characters: file systems allow 255 bytes for a name, some of them less."""
_KEPT = 60


def folder_name(text: str) -> str:
    """A name made of a-z, 0-9, `_`, `-`, `%` and `~`; different texts have different names.

    Everything else, capitals included, is percent-encoded as UTF-8, so that names stay apart on
    a file system that ignores case, and neither `/` nor `..` survives. A long name keeps its
    beginning and ends in `~` and a digest of the whole; the empty text is `%`.
    """
    raw = text.encode("utf-8", "surrogatepass")
    encoded = "".join(_encoded(raw)) or "%"
    if len(encoded) <= _LONGEST:
        return encoded
    return f"{encoded[:_KEPT]}~{hashlib.sha256(raw).hexdigest()[:48]}"


def _encoded(raw: bytes) -> list[str]:
    pieces: list[str] = []
    end = 0
    for plain in _PLAIN.finditer(raw):
        pieces += (f"%{byte:02x}" for byte in raw[end : plain.start()])
        pieces.append(plain[0].decode())
        end = plain.end()
    return pieces + [f"%{byte:02x}" for byte in raw[end:]]
