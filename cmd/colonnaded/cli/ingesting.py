"""Files from a disk into a collection, with a progress bar and a summary of what was rejected."""

from __future__ import annotations

import glob
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from rich.console import Console
from rich.text import Text

from colonnade.client import IngestReport, Upload
from colonnade.v1.ingestion_pb2 import DocumentResult, RejectionReason
from colonnaded.cli.connected import connected
from colonnaded.cli.exits import Exit, fail
from colonnaded.cli.progress import progress_bar

_SUFFIXES = frozenset({".md", ".markdown", ".html", ".htm", ".txt", ".text", ".rst", ".pdf"})
"""What is taken of a folder; a file that is named itself is always sent."""


def ingest(
    paths: Sequence[str],
    collection: str,
    base: Path | None,
    timeout: float,
    *,
    force: bool,
    as_json: bool,
) -> None:
    """Send the files, and end with what became of them."""
    uploads = list(_uploads(paths, base))
    if not uploads:
        fail("these paths hold no Markdown, HTML, text or PDF file", Exit.USAGE)
    with connected() as client, progress_bar(hidden=as_json) as progress:
        task = progress.add_task(f"into {collection}", total=len(uploads))
        report = client.knowledge.ingest(
            uploads,
            collection,
            force=force,
            on_progress=lambda _: progress.advance(task),
            timeout=timeout,
        )
    if as_json:
        print(json.dumps(_as_dict(report), ensure_ascii=False))
    else:
        _summarise(report)
    if report.rejected:
        sys.exit(Exit.PARTLY)


def _uploads(paths: Sequence[str], base: Path | None) -> Iterator[Upload]:
    """Each file once, named relative to the base, or to the folder that was given."""
    seen: set[Path] = set()
    for named in paths:
        for file, root in _files(named):
            if file.resolve() in seen:
                continue
            seen.add(file.resolve())
            yield Upload(_name(file, base or root), _opener(file))


def _opener(file: Path) -> Callable[[], BinaryIO]:
    """Opens the file when its turn comes: a large folder is never open all at once."""
    return lambda: file.open("rb")


def _files(named: str) -> Iterator[tuple[Path, Path]]:
    path = Path(named)
    if path.is_dir():
        for file in sorted(path.rglob("*")):
            inside = file.relative_to(path).parts
            if file.is_file() and file.suffix.lower() in _SUFFIXES and not _hidden(inside):
                yield file, path
    elif path.is_file():
        yield path, path.parent
    else:
        matches = sorted(glob.glob(named, recursive=True))
        if not matches:
            fail(f"{named}: no such file, folder or match", Exit.USAGE)
        for match in matches:
            if Path(match).is_file():
                yield Path(match), Path(match).parent


def _hidden(parts: tuple[str, ...]) -> bool:
    return any(part.startswith(".") for part in parts)


def _name(file: Path, root: Path) -> str:
    try:
        return file.resolve().relative_to(root.resolve()).as_posix()
    except ValueError:
        return file.as_posix()


def _summarise(report: IngestReport) -> None:
    console = Console()
    chunks = sum(result.chunk_count for result in report.results)
    console.print(
        f"{report.ingested} ingested, {report.unchanged} unchanged, "
        f"{len(report.rejected)} rejected; {chunks} passages"
    )
    for result in report.rejected:
        console.print(Text(f"  {result.uri}: {_reason(result)}: {result.detail}"), style="yellow")


def _reason(result: DocumentResult) -> str:
    name = RejectionReason.Name(result.reason)
    return name.removeprefix("REJECTION_REASON_").lower().replace("_", " ")


def _as_dict(report: IngestReport) -> dict[str, object]:
    return {
        "ingested": report.ingested,
        "unchanged": report.unchanged,
        "position": report.position,
        "rejected": [
            {"uri": result.uri, "reason": _reason(result), "detail": result.detail}
            for result in report.rejected
        ],
    }
