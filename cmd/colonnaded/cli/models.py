"""`colonnade models`: which models there are, how they do, how one is chosen, what they cost.

All but `prices import` ask the running server through `colonnade.client`.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from colonnaded.cli.exits import Exit, fail
from colonnaded.cli.options import ConfigFile, Output, OutputOption, Timeout, settings_or_fail

app = typer.Typer(no_args_is_help=True)
prices = typer.Typer(no_args_is_help=True)
app.add_typer(prices, name="prices", help="The table of prices.")

_TIMEOUT = 30.0
Name = Annotated[str, typer.Argument(help="The deployment.")]


@app.command("list")
def list_models(timeout: Timeout = _TIMEOUT, output: OutputOption = Output.TEXT) -> None:
    """List deployments and embedders: tier, window, capabilities, health; and the routes."""
    from colonnaded.cli.connected import connected
    from colonnaded.cli.model_views import print_models

    with connected() as client:
        models = list(client.models.list(timeout=timeout))
        routes = client.models.routes(timeout=timeout)
    print_models(models, routes, as_json=output is Output.JSON)


@app.command()
def health(timeout: Timeout = _TIMEOUT, output: OutputOption = Output.TEXT) -> None:
    """Show how each deployment does: whether it is called, how quickly it answers."""
    from colonnaded.cli.connected import connected
    from colonnaded.cli.model_views import print_health

    with connected() as client:
        models = [m for m in client.models.list(timeout=timeout) if m.HasField("health")]
    print_health([m.health for m in models], as_json=output is Output.JSON)


@app.command()
def explain(
    request: Annotated[str, typer.Argument(help="What would be asked.")],
    model: Annotated[str, typer.Option(help="A deployment, a model or a route.")] = "",
    task: Annotated[str, typer.Option(help="The kind of work, such as summarisation.")] = "",
    max_cost: Annotated[str, typer.Option(help="The most that it may cost, such as 0.05.")] = "",
    residency: Annotated[str, typer.Option(help="Where the data may go, such as eu.")] = "",
    label: Annotated[list[str] | None, typer.Option(help="A data label; may be repeated.")] = None,
    session: Annotated[str, typer.Option(help="What it would belong to.")] = "",
    timeout: Timeout = _TIMEOUT,
    output: OutputOption = Output.TEXT,
) -> None:
    """Show who would be asked, in which order, and why not the others. Calls nobody."""
    from colonnade.v1.models_pb2 import ModelConstraints
    from colonnade.v1.usage_pb2 import Money
    from colonnaded.cli.connected import connected
    from colonnaded.cli.model_views import print_routing

    constraints = ModelConstraints(residency=residency, labels=label or ())
    if max_cost:
        constraints.max_cost.CopyFrom(Money(amount=max_cost))
    with connected() as client:
        routing = client.models.explain(
            request,
            model=model,
            task=task,
            session=session,
            constraints=constraints,
            timeout=timeout,
        )
    print_routing(routing, as_json=output is Output.JSON)


@app.command()
def price(timeout: Timeout = _TIMEOUT, output: OutputOption = Output.TEXT) -> None:
    """Show the prices that the server reckons with, and of which day they are."""
    from colonnaded.cli.connected import connected
    from colonnaded.cli.model_views import print_prices

    with connected() as client:
        models = [m for m in client.models.list(timeout=timeout) if m.HasField("health")]
    print_prices(models, as_json=output is Output.JSON)


@app.command("test")
def try_model(name: Name, timeout: Timeout = 120.0) -> None:
    """Make real calls of one deployment, as a request would, and say what is wrong with it."""
    from colonnaded.cli.connected import connected
    from colonnaded.cli.model_test import tested

    with connected() as client:
        sound = tested(client, name, timeout)
    if not sound:
        raise typer.Exit(Exit.FAILED)


@prices.command("import")
def import_prices(
    file: Annotated[Path, typer.Argument(help="The public table, as JSON.")],
    as_of: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="The day of its figures.")],
    config: ConfigFile = None,
) -> None:
    """Read the public table of prices that gateways share; the server takes it at its start."""
    from colonnaded.price_import import imported

    settings = settings_or_fail(config)
    try:
        count, skipped, target = imported(file, as_of.date(), settings.data_dir)
    except (OSError, ValueError) as error:
        fail(f"{file}: {error}", Exit.USAGE)
    print(f"{count} models read, {skipped} passed over; written to {target}")
    print("a running server takes them after a restart")
