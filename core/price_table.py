"""A table of what models cost and can do, each figure with its day; and how it is written down."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Annotated

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked

from core.catalog import Capability
from core.errors import FieldViolation, InvalidInput
from core.prices import Prices, Rates

_STRICT = ConfigDict(extra="forbid")
Amount = Annotated[Decimal, Field(ge=0)]


@dataclass(frozen=True, slots=True)
class PricedModel:
    """What is known of a provider's model. None is unknown."""

    provider: str
    model: str
    prices: Prices
    context_window: int | None = None
    max_output_tokens: int | None = None
    capabilities: frozenset[Capability] = frozenset()
    takes_prefix: bool = False


@dataclass(frozen=True, slots=True)
class PriceTable:
    """Models by provider and name."""

    models: Mapping[tuple[str, str], PricedModel] = field(default_factory=dict)

    @classmethod
    def of(cls, models: Iterable[PricedModel]) -> PriceTable:
        """A table of these; of two for one model, the later one counts."""
        return cls({(each.provider, each.model): each for each in models})

    def find(self, provider: str, model: str) -> PricedModel | None:
        """The entry of exactly this model of this provider; None is unknown, which is not free.

        The same model at another provider may cost something else: its price is not taken.
        """
        return self.models.get((provider, model))

    def updated(self, newer: PriceTable) -> PriceTable:
        """This table with the newer one's entries in place of its own."""
        return PriceTable({**self.models, **newer.models})


@checked(frozen=True, slots=True, config=_STRICT)
class _LongPrompt:
    """`from` tokens on, a prompt costs this."""

    tokens: Annotated[int, Field(ge=1)]
    input: Amount | None = None
    output: Amount | None = None
    cached_input: Amount | None = None
    cache_write: Amount | None = None


@checked(frozen=True, slots=True, config=_STRICT)
class _Row:
    """One entry as the file has it: money a million tokens."""

    provider: Annotated[str, Field(min_length=1, max_length=100)]
    model: Annotated[str, Field(min_length=1, max_length=200)]
    as_of: date
    input: Amount | None = None
    output: Amount | None = None
    cached_input: Amount | None = None
    cache_write: Amount | None = None
    reasoning: Amount | None = None
    request: Amount = Decimal(0)
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] = "USD"
    context_window: Annotated[int, Field(ge=1)] | None = None
    max_output_tokens: Annotated[int, Field(ge=1)] | None = None
    capabilities: tuple[Capability, ...] = ()
    takes_prefix: bool = False
    long_prompt: _LongPrompt | None = None


_ROWS = TypeAdapter(list[_Row])


def parse_price_table(content: Mapping[str, object]) -> PriceTable:
    """A table from what our TOML file holds: `[[models]]`. Raises InvalidInput, naming the key."""
    if content.keys() - {"models"}:
        unknown = ", ".join(sorted(content.keys() - {"models"}))
        raise InvalidInput.at("prices", f"unknown key {unknown}; there is only [[models]]")
    try:
        rows = _ROWS.validate_python(content.get("models", []))
    except ValidationError as error:
        raise InvalidInput(
            [
                FieldViolation(".".join(("models", *map(str, item["loc"]))), item["msg"])
                for item in error.errors()
            ]
        ) from None
    return PriceTable.of(_priced(row) for row in rows)


def _priced(row: _Row) -> PricedModel:
    long = row.long_prompt
    prices = Prices(
        row.input,
        row.output,
        row.cached_input,
        row.currency,
        cache_write=row.cache_write,
        request=row.request,
        reasoning=row.reasoning,
        long_from=long.tokens if long else None,
        long=Rates(long.input, long.output, long.cached_input, long.cache_write)
        if long
        else Rates(),
        as_of=row.as_of,
    )
    return PricedModel(
        row.provider,
        row.model,
        prices,
        row.context_window,
        row.max_output_tokens,
        frozenset(row.capabilities),
        row.takes_prefix,
    )


def written(table: PriceTable) -> str:
    """The table as our TOML file, in order of provider and model: what `parse` reads back."""
    return "\n".join(_entry(table.models[key]) for key in sorted(table.models))


def _entry(priced: PricedModel) -> str:
    prices = priced.prices
    lines = ["[[models]]", f"provider = {_text(priced.provider)}", f"model = {_text(priced.model)}"]
    if prices.as_of is not None:
        lines.append(f"as_of = {prices.as_of.isoformat()}")
    own = Rates(prices.input, prices.output, prices.cached_input, prices.cache_write)
    lines += _amounts(own)
    lines += _amount("reasoning", prices.reasoning)
    lines += _amount("request", prices.request or None)
    if prices.currency != "USD":
        lines.append(f"currency = {_text(prices.currency)}")
    if priced.context_window is not None:
        lines.append(f"context_window = {priced.context_window}")
    if priced.max_output_tokens is not None:
        lines.append(f"max_output_tokens = {priced.max_output_tokens}")
    if priced.capabilities:
        names = ", ".join(_text(name) for name in sorted(c.value for c in priced.capabilities))
        lines.append(f"capabilities = [{names}]")
    if priced.takes_prefix:
        lines.append("takes_prefix = true")
    if prices.long_from is not None:
        inner = ", ".join([f"tokens = {prices.long_from}", *_amounts(prices.long)])
        lines.append(f"long_prompt = {{ {inner} }}")
    return "\n".join(lines) + "\n"


def _amounts(rates: Rates) -> list[str]:
    return [
        *_amount("input", rates.input),
        *_amount("output", rates.output),
        *_amount("cached_input", rates.cached_input),
        *_amount("cache_write", rates.cache_write),
    ]


def _amount(key: str, value: Decimal | None) -> list[str]:
    return [] if value is None else [f'{key} = "{value.normalize():f}"']


def _text(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in escaped) + '"'
