"""Write the contract with what it imports, as any language's protoc takes it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

CONTRACT = "colonnade/v1"
STATUS_DETAILS = ("google/rpc/error_details.proto", "google/rpc/status.proto")
"""Not imported by the contract, but needed to read the details of its statuses."""

_IMPORT = re.compile(r'^import\s+(?:public\s+)?"([^"]+)"\s*;', re.MULTILINE)


def export(directory: Path) -> list[Path]:
    """Write the protos below `directory`, creating it, and return the files, sorted.

    What `google/protobuf/` holds is left out: every protoc brings its own, and another release's
    might not suit it. Files that are there are overwritten. Raises OSError where a file can't be
    written, and ModuleNotFoundError where googleapis-common-protos is missing.
    """
    root = _contract()
    ours = [f"{CONTRACT}/{file.name}" for file in (root / CONTRACT).iterdir()]
    written = []
    for name, text in _with_imports(sorted(ours) + list(STATUS_DETAILS), _reader(root)).items():
        target = directory / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        written.append(target)
    return sorted(written)


def _contract() -> Traversable:
    """The folder of our protos: packaged with the server, or the repository's own."""
    packaged = files("colonnaded") / "protos"
    return packaged if packaged.is_dir() else Path(__file__).resolve().parents[2] / "proto"


def _reader(root: Traversable) -> Callable[[str], str]:
    """A function that reads a proto by its import path."""

    def read(name: str) -> str:
        if name.startswith("google/"):
            folder, _, file = name.rpartition("/")
            return (files(folder.replace("/", ".")) / file).read_text(encoding="utf-8")
        return (root / name).read_text(encoding="utf-8")

    return read


def _with_imports(names: Iterable[str], read: Callable[[str], str]) -> dict[str, str]:
    """The texts of these files and of all that they import, by import path."""
    texts: dict[str, str] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in texts and not name.startswith("google/protobuf/"):
            texts[name] = read(name)
            waiting.extend(_IMPORT.findall(texts[name]))
    return texts
