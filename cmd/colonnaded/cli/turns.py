"""`colonnade turns`: which turns run, where, what they spend, and how to stop one.

The commands use `colonnade.client` and nothing else of ours.
"""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import typer

from colonnaded.cli.options import Output, OutputOption, Timeout

app = typer.Typer(no_args_is_help=True)


class State(Enum):
    """Where turns stand."""

    RUNNING = "running"
    WAITING = "waiting"
    FINISHED = "finished"
    FAILED = "failed"


TurnId = Annotated[str, typer.Argument(help="The turn's id.")]
Json = Annotated[bool, typer.Option("--json", help="The same as --output json.")]
_TIMEOUT = 30.0


@app.command("list")
def list_turns(
    state: Annotated[
        list[State] | None,
        typer.Option("--state", "-s", help="May be repeated; else those that run or wait."),
    ] = None,
    all_tenants: Annotated[
        bool, typer.Option("--all-tenants", help="Needs a key with the scope admin.every-tenant.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="The most turns.")] = 100,
    timeout: Timeout = _TIMEOUT,
    output: OutputOption = Output.TEXT,
    json: Json = False,
) -> None:
    """List turns, the newest first: owner, what is left of the lease, run, and flags."""
    from itertools import islice

    from colonnade.v1.turns_pb2 import TurnState
    from colonnaded.cli.connected import connected
    from colonnaded.cli.turn_views import print_turns

    states = [TurnState.Value(f"TURN_STATE_{one.name}") for one in state or ()]
    with connected() as client:
        found = client.admin.turns(states, all_tenants=all_tenants, timeout=timeout)
        turns = list(islice(found, limit))
    print_turns(turns, as_json=json or output is Output.JSON)


@app.command()
def show(
    turn: TurnId,
    timeout: Timeout = _TIMEOUT,
    output: OutputOption = Output.TEXT,
    json: Json = False,
) -> None:
    """Show a turn's row, with its attempts and the replicas that read it."""
    from colonnaded.cli.connected import connected
    from colonnaded.cli.turn_views import print_turn

    with connected() as client:
        found = client.admin.turn(turn, timeout=timeout)
    print_turn(found, as_json=json or output is Output.JSON)


@app.command()
def cancel(
    turn: TurnId,
    timeout: Timeout = _TIMEOUT,
    output: OutputOption = Output.TEXT,
    json: Json = False,
) -> None:
    """Stop a turn, whoever asked for it. One that has ended stays as it is."""
    from colonnaded.cli.connected import connected
    from colonnaded.cli.turn_views import print_cancelled

    with connected() as client:
        found = client.admin.cancel(turn, timeout=timeout)
    print_cancelled(found, as_json=json or output is Output.JSON)
