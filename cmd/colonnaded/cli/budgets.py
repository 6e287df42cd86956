"""`colonnade budgets`: what is spent, held and left of each budget, and which alerts were given.

The commands use `colonnade.client` and nothing else of ours.
"""

from __future__ import annotations

from typing import Annotated

import typer

from colonnaded.cli.options import Output, OutputOption, Timeout

app = typer.Typer(no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="The same as --output json.")]
_TIMEOUT = 30.0


@app.command("list")
def list_budgets(
    rule: Annotated[str, typer.Argument(help="Its name in the settings; else all.")] = "",
    all_tenants: Annotated[
        bool, typer.Option("--all-tenants", help="Needs a key with the scope admin.every-tenant.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="The most budgets.")] = 100,
    timeout: Timeout = _TIMEOUT,
    output: OutputOption = Output.TEXT,
    json: Json = False,
) -> None:
    """List budgets of which something was spent: limit, spent, held, and when it opens again."""
    from itertools import islice

    from colonnaded.cli.budget_views import print_budgets
    from colonnaded.cli.connected import connected

    with connected() as client:
        found = client.admin.budgets(rule, all_tenants=all_tenants, timeout=timeout)
        budgets = list(islice(found, limit))
    print_budgets(budgets, as_json=json or output is Output.JSON)


@app.command()
def show(
    budget: Annotated[str, typer.Argument(help="The budget's id, as the list has it.")],
    timeout: Timeout = _TIMEOUT,
    output: OutputOption = Output.TEXT,
    json: Json = False,
) -> None:
    """Show one budget, with the processes that hold something of it and the alerts given."""
    from colonnaded.cli.budget_views import print_budget
    from colonnaded.cli.connected import connected

    with connected() as client:
        found = client.admin.budget(budget, timeout=timeout)
    print_budget(found, as_json=json or output is Output.JSON)
