"""A suite run against a server: a running one, or one that is started for it and forgotten."""

from __future__ import annotations

import asyncio
import re
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from colonnade.client import AsyncClient, ColonnadeError
from colonnaded.cli.connected import explained
from colonnaded.cli.exits import Exit, fail
from colonnaded.cli.options import settings_or_fail
from colonnaded.cli.progress import progress_bar
from colonnaded.evaluated_server import EvaluatedServer
from colonnaded.node import serving
from evals.cases import Suite, SuiteError
from evals.loading import load_suite
from evals.report import as_json, table
from evals.runner import Progress as Step
from evals.runner import Run, RunOptions, run_suite
from evals.summary import summarise


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What the command was asked for."""

    suite: Path
    documents: Path | None
    collection: str
    report: Path | None
    searches: bool
    asks: bool
    depth: int
    concurrency: int
    server: str
    config: Path | None
    as_json: bool


def evaluate(wanted: Evaluation) -> None:
    """Run it, print the table or the report, and end with what the run was worth."""
    try:
        suite = load_suite(wanted.suite, documents=wanted.documents)
        run = asyncio.run(_run(wanted, suite))
    except SuiteError as error:
        fail(str(error), Exit.USAGE)
    except ColonnadeError as error:
        fail(explained(error), Exit.UNREACHABLE)
    except KeyboardInterrupt:
        fail("interrupted", Exit.INTERRUPTED)
    summary = summarise(run)
    if wanted.report is not None:
        wanted.report.write_text(as_json(run, summary), encoding="utf-8")
    print(as_json(run, summary) if wanted.as_json else table(run, summary))
    if any(result.search_error or result.ask_error for result in run.results):
        sys.exit(Exit.PARTLY)


async def _run(wanted: Evaluation, suite: Suite) -> Run:
    options = RunOptions(
        depth=wanted.depth,
        searches=wanted.searches,
        asks=wanted.asks,
        concurrency=wanted.concurrency,
    )
    async with _client(wanted) as client:
        with progress_bar(hidden=wanted.as_json) as progress:
            task = progress.add_task("ingest", total=None)

            def on_step(step: Step) -> None:
                progress.update(task, description=step.stage, completed=step.done, total=step.total)

            system = EvaluatedServer(client, wanted.collection or _collection_for(suite.name))
            return await run_suite(suite, system, options, on_step)


@asynccontextmanager
async def _client(wanted: Evaluation) -> AsyncIterator[AsyncClient]:
    """A client of the named server, or of a node of this process with a store of its own."""
    if wanted.server:
        async with AsyncClient(address=wanted.server) as client:
            yield client
        return
    settings = settings_or_fail(wanted.config)
    with tempfile.TemporaryDirectory(prefix="colonnade-eval-") as folder:
        quiet = settings.log.model_copy(update={"level": "error"})
        alone = settings.model_copy(update={"data_dir": Path(folder), "log": quiet})
        own = alone.with_overrides(address="127.0.0.1:0", demo_key=True)
        async with serving(own) as node, AsyncClient(address=node.address) as client:
            yield client


def _collection_for(suite: str) -> str:
    """A collection's name from a suite's."""
    name = re.sub(r"[^a-z0-9]+", "-", suite.lower()).strip("-")
    return name if name[:1].isalpha() else f"suite-{name}"
