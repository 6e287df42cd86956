"""`colonnade eval`: suites through the real stack."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from colonnaded.cli.options import ConfigFile, Output, OutputOption

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _group() -> None:
    """Evaluations through the real stack."""


@app.command()
def run(
    suite: Annotated[
        Path, typer.Argument(help="A folder in the BEIR layout, or with cases.jsonl.")
    ],
    documents: Annotated[
        Path | None, typer.Option(help="A folder of files to ask about, if the suite has none.")
    ] = None,
    collection: Annotated[
        str, typer.Option(help="Where the documents go; else one named for the suite.")
    ] = "",
    report: Annotated[
        Path | None, typer.Option(help="Where the JSON report goes; else it is not written.")
    ] = None,
    searches: Annotated[bool, typer.Option(help="Measure what is found.")] = True,
    asks: Annotated[bool, typer.Option(help="Measure what is answered.")] = True,
    depth: Annotated[int, typer.Option(min=1, max=33, help="Documents a search asks for.")] = 10,
    concurrency: Annotated[int, typer.Option(min=1, help="Cases at once.")] = 4,
    server: Annotated[
        str, typer.Option(help="host:port of a running server; else one is started for this.")
    ] = "",
    config: ConfigFile = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Run a suite: its documents in, every case searched and asked, each figure with its interval.

    Exit codes: 0 the run is complete, 7 some cases were errors, 2 the suite can't be read.
    """
    from colonnaded.cli.evaluating import Evaluation, evaluate

    evaluate(
        Evaluation(
            suite=suite,
            documents=documents,
            collection=collection,
            report=report,
            searches=searches,
            asks=asks,
            depth=depth,
            concurrency=concurrency,
            server=server,
            config=config,
            as_json=output is Output.JSON,
        )
    )
