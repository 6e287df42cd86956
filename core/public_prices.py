"""The public table that gateways share, read into ours.

It is one JSON object: a model's name to its figures, money by the single token. What it does not
say of a model is unknown here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation

from core.catalog import Capability
from core.price_table import PricedModel, PriceTable
from core.prices import Prices, Rates

_MILLION = Decimal(1_000_000)
_TEXT_MODES = frozenset({"chat", "completion", "responses", "embedding"})
_CAPABILITIES = {
    "supports_vision": Capability.IMAGES,
    "supports_function_calling": Capability.TOOLS,
    "supports_response_schema": Capability.JSON_SCHEMA,
}
_LONG = re.compile(r"input_cost_per_token_above_(\d+)k_tokens")
_LARGEST_WINDOW = 100_000_000


@dataclass(frozen=True, slots=True)
class Imported:
    """What was read, and the names of what was passed over, each with the reason."""

    table: PriceTable
    skipped: Mapping[str, str]


def read_public_prices(content: Mapping[str, object], as_of: date) -> Imported:
    """The models that read or write text. `as_of` is the day of the file's figures.

    A name that repeats its provider (`provider/model`) is taken without. Numbers should come as
    Decimal, so that none is rounded on the way; a float is taken by its shortest spelling.
    """
    found: list[PricedModel] = []
    skipped: dict[str, str] = {}
    for name, entry in sorted(content.items()):
        if not isinstance(entry, Mapping):
            skipped[name] = "no object"
        elif entry.get("mode", "chat") not in _TEXT_MODES:
            skipped[name] = f"mode {entry.get('mode')}"
        elif not isinstance(entry.get("litellm_provider"), str):
            skipped[name] = "no provider"
        else:
            found.append(_model(name, entry, as_of))
    return Imported(PriceTable.of(found), skipped)


def _model(name: str, entry: Mapping[str, object], as_of: date) -> PricedModel:
    provider = str(entry["litellm_provider"])
    return PricedModel(
        provider,
        name.removeprefix(f"{provider}/"),
        _prices(entry, as_of),
        context_window=_window(entry),
        max_output_tokens=_count(entry.get("max_output_tokens")),
        capabilities=frozenset(c for key, c in _CAPABILITIES.items() if entry.get(key) is True),
        takes_prefix=entry.get("supports_assistant_prefill") is True,
    )


def _prices(entry: Mapping[str, object], as_of: date) -> Prices:
    own, (long_from, long) = _rates(entry, ""), _long(entry)
    if entry.get("mode") == "embedding" and own.output is None:
        own = Rates(own.input, Decimal(0), own.cached_input, own.cache_write)
    return Prices(
        own.input,
        own.output,
        own.cached_input,
        cache_write=own.cache_write,
        request=_amount(entry.get("input_cost_per_request")) or Decimal(0),
        reasoning=_a_million(entry.get("output_cost_per_reasoning_token")),
        long_from=long_from,
        long=long,
        as_of=as_of,
    )


def _rates(entry: Mapping[str, object], suffix: str) -> Rates:
    return Rates(
        _a_million(entry.get(f"input_cost_per_token{suffix}")),
        _a_million(entry.get(f"output_cost_per_token{suffix}")),
        _a_million(entry.get(f"cache_read_input_token_cost{suffix}")),
        _a_million(entry.get(f"cache_creation_input_token_cost{suffix}")),
    )


def _long(entry: Mapping[str, object]) -> tuple[int | None, Rates]:
    """The dearer price of long prompts, by the lowest threshold that the entry has."""
    thousands = [int(m[1]) for key in entry if (m := _LONG.fullmatch(key))]
    if not thousands:
        return None, Rates()
    least = min(thousands)
    own, long = _rates(entry, ""), _rates(entry, f"_above_{least}k_tokens")
    merged = Rates(
        long.input,
        own.output if long.output is None else long.output,
        own.cached_input if long.cached_input is None else long.cached_input,
        own.cache_write if long.cache_write is None else long.cache_write,
    )
    return least * 1000 + 1, merged


def _window(entry: Mapping[str, object]) -> int | None:
    """Prompt and output together: the table gives the prompt's part of some models."""
    return _count(entry.get("max_input_tokens")) or _count(entry.get("max_tokens"))


def _count(value: object) -> int | None:
    amount = _amount(value)
    return int(amount) if amount is not None and 1 <= amount <= _LARGEST_WINDOW else None


def _a_million(value: object) -> Decimal | None:
    amount = _amount(value)
    return None if amount is None else amount * _MILLION


def _amount(value: object) -> Decimal | None:
    """A number of the table; None where there is none, or nonsense."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal | str):
        return None
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        return None
    return amount if amount.is_finite() and amount >= 0 else None
