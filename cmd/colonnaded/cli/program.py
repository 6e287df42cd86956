"""The commands by name."""

from __future__ import annotations

import typer

from colonnaded.cli import (
    budgets,
    config,
    copying,
    eval,
    keys,
    models,
    proto,
    serve,
    spending,
    talk,
    turns,
    upkeep,
)

_EPILOG = (
    "Clients find the server by COLONNADE_ADDRESS (127.0.0.1:7600), a key by "
    "COLONNADE_API_KEY, a CA by COLONNADE_TLS_CA."
)

app = typer.Typer(
    name="colonnade",
    help="Answers over gRPC from your own documents: a server, and a client to ask it.",
    epilog=_EPILOG,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=True,
)
app.command()(serve.serve)
app.command()(talk.ask)
app.command()(talk.chat)
app.command()(talk.search)
app.command()(talk.ingest)
app.command()(spending.spending)
app.command()(upkeep.doctor)
app.command()(copying.copy_state)
app.command()(upkeep.version)
app.add_typer(keys.app, name="keys", help="API keys: made, listed, revoked, in the store itself.")
app.add_typer(models.app, name="models", help="Models: how one is chosen, how they do, their cost.")
app.add_typer(turns.app, name="turns", help="Turns: which run, where, and how to stop one.")
app.add_typer(budgets.app, name="budgets", help="Budgets: what is spent, held and left of each.")
app.add_typer(config.app, name="config", help="The settings: checked and shown.")
app.add_typer(eval.app, name="eval", help="Evaluations through the running server.")
app.add_typer(proto.app, name="proto", help="The contract, for other languages' compilers.")
