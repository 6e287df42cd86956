"""The commands that talk to a running server: `ask`, `chat`, `search`, `ingest`.

They use `colonnade.client` and nothing else of ours.
"""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from colonnaded.cli.options import Collections, Output, OutputOption, Timeout

QUESTION_TIMEOUT = 120.0


class Grounding(Enum):
    """How strictly an answer is tied to the documents."""

    OFF = "off"
    SENTENCE = "sentence"
    FINAL = "final"


Free = Annotated[bool, typer.Option("--free", help="Talk to the model alone, without documents.")]
Model = Annotated[str, typer.Option(help="A deployment or a route; else the server's choice.")]


def ask(
    question: Annotated[str, typer.Argument(help="What is asked.")],
    collection: Collections = None,
    free: Free = False,
    model: Model = "",
    grounding: Annotated[
        Grounding | None, typer.Option(help="How strictly the answer is checked.")
    ] = None,
    language: Annotated[str, typer.Option(help="BCP 47 tag; else the question's.")] = "",
    timeout: Timeout = QUESTION_TIMEOUT,
    output: OutputOption = Output.TEXT,
) -> None:
    """Ask one question and stream the answer, with its sources under it.

    Exit codes: 0 answered, 8 not answered by the documents, 3 settings, 4 no server, 5 no right,
    6 not found, 130 Ctrl-C.
    """
    from colonnaded.cli.conversation import ask_once
    from colonnaded.cli.question import Question

    wanted = Question(
        collections=tuple(collection or ()),
        free=free,
        model=model,
        grounding=grounding.value if grounding else None,
        language=language,
        timeout=timeout,
    )
    ask_once(question, wanted, as_json=output is Output.JSON)


def chat(
    collection: Collections = None,
    free: Free = False,
    model: Model = "",
    timeout: Timeout = QUESTION_TIMEOUT,
) -> None:
    """Talk: each line is a turn of one conversation. Ctrl-C cancels the turn, Ctrl-D leaves."""
    from colonnaded.cli.conversation import talk
    from colonnaded.cli.question import Question

    talk(Question(collections=tuple(collection or ()), free=free, model=model, timeout=timeout))


def search(
    query: Annotated[str, typer.Argument(help="What is looked for.")],
    collection: Collections = None,
    limit: Annotated[int, typer.Option(min=1, max=100, help="The most passages.")] = 5,
    explain: Annotated[bool, typer.Option(help="Show where each score comes from.")] = False,
    timeout: Timeout = 30.0,
    output: OutputOption = Output.TEXT,
) -> None:
    """Find passages, each with its score. Exit codes as for `ask`."""
    from colonnaded.cli.searching import search as run

    run(
        query,
        tuple(collection or ()),
        limit,
        timeout,
        explain=explain,
        as_json=output is Output.JSON,
    )


def ingest(
    paths: Annotated[list[str], typer.Argument(help="Files, folders, globs.", metavar="PATH…")],
    collection: Annotated[str, typer.Option("--collection", "-c", help="Where to.")] = "default",
    force: Annotated[bool, typer.Option(help="Take in unchanged files again.")] = False,
    base: Annotated[
        Path | None, typer.Option(help="Names of documents are relative to it; else the folder.")
    ] = None,
    timeout: Annotated[float, typer.Option(min=1.0, help="Seconds a call.")] = 600.0,
    output: OutputOption = Output.TEXT,
) -> None:
    """Take documents in: Markdown, HTML, text and PDF. Unchanged files are skipped.

    Exit codes: 0 all is in, 7 some files were rejected (the summary says why), else as for `ask`.
    """
    from colonnaded.cli.ingesting import ingest as run

    run(paths, collection, base, timeout, force=force, as_json=output is Output.JSON)
