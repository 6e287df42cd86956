"""Passages found, on a terminal or for a program."""

from __future__ import annotations

import json

from google.protobuf.json_format import MessageToDict
from rich.console import Console
from rich.text import Text

from colonnade.v1.retrieval_pb2 import SearchHit
from colonnaded.cli.connected import connected

_SHOWN = 240
"""Characters of a passage on a terminal."""


def search(
    query: str,
    collections: tuple[str, ...],
    limit: int,
    timeout: float,
    *,
    explain: bool,
    as_json: bool,
) -> None:
    """Search once and print what was found."""
    with connected() as client:
        if collections:
            found = client.search(query, timeout=timeout, limit=limit, collections=collections)
        else:
            found = client.search(query, timeout=timeout, limit=limit)
    if as_json:
        print(
            json.dumps(MessageToDict(found, preserving_proto_field_name=True), ensure_ascii=False)
        )
        return
    console = Console()
    for number, hit in enumerate(found.hits, start=1):
        _show(console, number, hit, explain=explain)
    if not found.hits:
        console.print("nothing was found", style="yellow")


def _show(console: Console, number: int, hit: SearchHit, *, explain: bool) -> None:
    place = " > ".join((hit.chunk.title, *hit.chunk.span.headings))
    console.print(Text(f"{number}. {place}  ({hit.chunk.uri})  {hit.score:.3f}"), style="bold")
    text = " ".join(hit.chunk.text.split())
    console.print(Text(f"   {text[:_SHOWN]}{'…' if len(text) > _SHOWN else ''}"))
    if explain:
        for part in hit.explanation:
            line = (
                f"   {part.name} {part.value:.3f} (rank {part.rank}) adds {part.contribution:.3f}"
            )
            console.print(Text(line), style="dim")
