"""Models on a terminal, or for a program."""

from __future__ import annotations

import json
from collections.abc import Sequence

from google.protobuf.duration_pb2 import Duration
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from rich.console import Console
from rich.table import Table

from colonnade.v1.models_pb2 import Model, ModelTier, Route
from colonnade.v1.routing_pb2 import ModelHealth, Routing
from colonnade.v1.usage_pb2 import Money

_STATES = {
    ModelHealth.STATE_UP: "up",
    ModelHealth.STATE_PROBED: "being tried",
    ModelHealth.STATE_RESTING: "resting",
}

_DOES = {
    Model.KIND_UNSPECIFIED: "",
    Model.KIND_LANGUAGE: "writes",
    Model.KIND_EMBEDDING: "embeds",
    Model.KIND_RERANKING: "reranks",
}


def print_models(models: Sequence[Model], routes: Sequence[Route], *, as_json: bool) -> None:
    """Deployments, embedders, rerankers, routes."""
    if as_json:
        print(
            json.dumps(
                {"models": [_plain(m) for m in models], "routes": [_plain(r) for r in routes]},
                ensure_ascii=False,
            )
        )
        return
    table = _table("name", "kind", "model", "provider", "tier", "window", "can", "where", "state")
    for model in models:
        writes = model.kind == Model.KIND_LANGUAGE
        table.add_row(
            model.name,
            _DOES[model.kind],
            model.version,
            model.provider,
            ModelTier.Name(model.tier).removeprefix("MODEL_TIER_").lower() if writes else "",
            _size(model),
            ", ".join(model.capabilities),
            ", ".join([*([model.residency] if model.residency else []), *model.labels]),
            _STATES[model.health.state] if writes else "",
        )
    console = Console()
    console.print(table)
    for route in routes:
        console.print(f"route {route.name}: {', '.join(route.models)}", markup=False)


def _size(model: Model) -> str:
    if model.kind == Model.KIND_LANGUAGE:
        return f"{model.context_tokens:,}"
    return f"{model.dimensions} dims" if model.kind == Model.KIND_EMBEDDING else ""


def print_health(healths: Sequence[ModelHealth], *, as_json: bool) -> None:
    """How each deployment does."""
    if as_json:
        print(json.dumps([_plain(each) for each in healths], ensure_ascii=False))
        return
    table = _table("name", "state", "cause", "again in", "under way", "first token", "95 %")
    for each in healths:
        table.add_row(
            each.name,
            _STATES[each.state],
            each.cause,
            _seconds(each.retry_after) if each.HasField("retry_after") else "",
            str(each.outstanding),
            _seconds(each.first_token) if each.HasField("first_token") else "not known",
            _seconds(each.slow_first_token) if each.HasField("slow_first_token") else "",
        )
    Console().print(table)


def print_routing(routing: Routing, *, as_json: bool) -> None:
    """Who is asked, and why not the others."""
    if as_json:
        print(json.dumps(_plain(routing), ensure_ascii=False))
        return
    console = Console()
    if not routing.candidates:
        console.print("no deployment can serve this", style="yellow")
    else:
        console.print(f"asked in this order ({routing.strategy}):")
    for number, each in enumerate(routing.candidates, start=1):
        facts = [f"at most {_money(each.expected_cost)}" if each.HasField("expected_cost") else ""]
        facts += [_seconds(each.first_token) if each.HasField("first_token") else "", *each.notes]
        told = "; ".join(fact for fact in facts if fact)
        console.print(f"{number}. {each.model}  {told}", markup=False, highlight=False)
    for refused in routing.rejections:
        line = f"-  {refused.model}: {refused.obstacle} ({refused.detail})"
        console.print(line, style="dim", markup=False, highlight=False)


def print_prices(models: Sequence[Model], *, as_json: bool) -> None:
    """Money a million tokens."""
    if as_json:
        print(json.dumps([_price(model) for model in models], ensure_ascii=False))
        return
    table = _table("name", "model", "input", "cached", "output", "as of")
    for model in models:
        facts = _price(model)
        table.add_row(
            model.name,
            model.version,
            facts["input"] or "unknown",
            facts["cached_input"] or "",
            facts["output"] or "unknown",
            facts["as_of"] or ("the settings" if facts["input"] else ""),
        )
    Console().print(table)


def _price(model: Model) -> dict[str, str | None]:
    return {
        "name": model.name,
        "model": model.version,
        "input": _known(model.prompt_price),
        "cached_input": _known(model.cached_prompt_price),
        "output": _known(model.output_price),
        "as_of": model.prices_as_of or None,
    }


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _money(value: Money) -> str:
    return f"{value.amount} {value.currency_code}"


def _known(value: Money) -> str | None:
    """An amount; None where the field was not set, which is not zero."""
    return _money(value) if value.amount else None


def _seconds(value: Duration) -> str:
    return f"{value.seconds + value.nanos / 1e9:.2f} s"


def _plain(message: Message) -> object:
    return MessageToDict(message, preserving_proto_field_name=True)
