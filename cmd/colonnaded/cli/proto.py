"""`colonnade proto`: the contract for other languages."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _group() -> None:
    """The contract, for other languages' compilers."""


@app.command()
def export(
    directory: Annotated[Path, typer.Argument(help="Where to; it is made if need be.")],
) -> None:
    """Write the protos with all that they import, as any compiler takes them."""
    from colonnaded.proto_export import export as write

    for path in write(directory):
        print(path)
