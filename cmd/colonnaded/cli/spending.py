"""`colonnade spending`: what was booked in a time, by tenant, user, feature, model or key."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import Enum
from typing import Annotated

import typer

from colonnaded.cli.options import Output, OutputOption, Timeout

_TIMEOUT = 120.0
_FORMATS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]


class By(Enum):
    """What is told apart."""

    TENANT = "tenant"
    USER = "user"
    FEATURE = "feature"
    MODEL = "model"
    KEY = "key"


def spending(
    by: Annotated[By, typer.Option("--by", help="What is told apart.")] = By.TENANT,
    since: Annotated[
        datetime | None,
        typer.Option(formats=_FORMATS, help="From when on, UTC; else from this month's first."),
    ] = None,
    until: Annotated[
        datetime | None, typer.Option(formats=_FORMATS, help="Until when, UTC; else until now.")
    ] = None,
    all_tenants: Annotated[
        bool, typer.Option("--all-tenants", help="Needs a key with the scope admin.every-tenant.")
    ] = False,
    timeout: Timeout = _TIMEOUT,
    output: OutputOption = Output.TEXT,
) -> None:
    """Show what was spent, the dearest first."""
    from colonnade.v1.spending_pb2 import SpendingSubject
    from colonnaded.cli.budget_views import print_spending
    from colonnaded.cli.connected import connected

    with connected() as client:
        found = client.admin.spending(
            SpendingSubject.Value(f"SPENDING_SUBJECT_{by.name}"),
            start=_utc(since),
            end=_utc(until),
            all_tenants=all_tenants,
            timeout=timeout,
        )
    print_spending(found, as_json=output is Output.JSON)


def _utc(at: datetime | None) -> datetime | None:
    return None if at is None else at.replace(tzinfo=UTC)
