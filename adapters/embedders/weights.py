"""Where packaged weights lie, and what to say where they don't.

Nothing here imports what it looks for, so that `doctor` stays fast.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass(frozen=True, slots=True)
class Missing:
    """Something that an embedder needs and does not find: what it is, and how to get it."""

    what: str
    remedy: str


def package_folder(package: str) -> Path | None:
    """The folder of an installed package, None where it is not installed."""
    spec = find_spec(package)
    places = spec.submodule_search_locations if spec else None
    return Path(next(iter(places))) if places else None


def missing_libraries(libraries: Iterable[str], remedy: str) -> list[Missing]:
    """Those of these import names that are not installed."""
    return [
        Missing(f"the Python package {name}", remedy) for name in libraries if not find_spec(name)
    ]


def refuse_missing(embedder: str, missing: Sequence[Missing]) -> None:
    """Raises Unavailable that names everything that is missing; returns if nothing is."""
    if missing:
        said = "; ".join(f"{one.what} is missing: {one.remedy}" for one in missing)
        raise Unavailable(f"the embedder {embedder} cannot start: {said}")


def check_weights(file: Path, sha256: str) -> None:
    """Raises Unavailable if `file` does not have this digest (in hex).

    An embedder's name stands for exact weights: with others, a collection that was built under
    the name would be searched with vectors of another space.
    """
    with file.open("rb") as weights:
        found = hashlib.file_digest(weights, "sha256").hexdigest()
    if found != sha256:
        raise Unavailable(
            f"{file} holds other weights than this version of Colonnade knows "
            f"(SHA-256 {found}, expected {sha256}); install the packages in the versions "
            "that it names"
        )
