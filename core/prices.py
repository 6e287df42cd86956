"""What tokens cost: exact, and unknown where a figure is unknown."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.generation import TokenUsage

_MILLION = Decimal(1_000_000)
_NOTHING = Decimal(0)


@dataclass(frozen=True, slots=True)
class Rates:
    """Money a million tokens. None is unknown, which is not zero."""

    input: Decimal | None = None
    output: Decimal | None = None
    cached_input: Decimal | None = None
    cache_write: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Prices:
    """Money a million tokens, in `currency`. None is unknown, which is not zero.

    `cached_input` and `cache_write` None: tokens read from the provider's cache, or put there,
    cost what others do. `reasoning` None: thoughts cost what other output does. `request` is paid
    once a call. From a prompt of `long_from` tokens on,
    everything costs `long`. Of an embedder only `input` counts. `as_of` is the day on which the
    figures were read, None where the operator gave them.
    """

    input: Decimal | None = None
    output: Decimal | None = None
    cached_input: Decimal | None = None
    currency: str = "USD"
    cache_write: Decimal | None = None
    request: Decimal = Decimal(0)
    reasoning: Decimal | None = None
    long_from: int | None = None
    long: Rates = Rates()
    as_of: date | None = None

    @property
    def known(self) -> bool:
        """Whether what a call costs can be told."""
        if self.input is None or self.output is None:
            return False
        return self.long_from is None or not (self.long.input is None or self.long.output is None)

    def rates(self, prompt: int) -> Rates:
        """What a prompt of so many tokens is charged by."""
        rates = _charged(self, prompt)
        if isinstance(rates, Rates):
            return rates
        return Rates(rates.input, rates.output, rates.cached_input, rates.cache_write)


def _charged(prices: Prices, prompt: int) -> Rates | Prices:
    """The same, without a value made for it: prices have the names of rates."""
    if prices.long_from is not None and prompt >= prices.long_from:
        return prices.long
    return prices


def cost_of(usage: TokenUsage, prices: Prices) -> Decimal | None:
    """Money for these tokens, exact; None where a price or a count that it needs is unknown.

    Tokens read from a cache or put there are part of `prompt`, reasoning is part of `completion`;
    each is priced apart where its price is known, and never twice.
    """
    if usage.prompt is None or usage.completion is None:
        return None
    rates = _charged(prices, usage.prompt)
    if rates.input is None or rates.output is None:
        return None
    units = usage.prompt * rates.input + usage.completion * rates.output
    if usage.cached_prompt or usage.cache_write:
        units += _cached_apart(usage.prompt, usage, rates, rates.input)
    if usage.reasoning and prices.reasoning is not None:
        thoughts = min(usage.reasoning, usage.completion)
        units += thoughts * (prices.reasoning - rates.output)
    return units / _MILLION + prices.request


def _cached_apart(prompt: int, usage: TokenUsage, rates: Rates | Prices, usual: Decimal) -> Decimal:
    """What the part of a prompt that a cache has to do with costs more than the usual, or less."""
    cached = min(usage.cached_prompt or 0, prompt)
    written = min(usage.cache_write or 0, prompt - cached)
    cached_price = usual if rates.cached_input is None else rates.cached_input
    write_price = usual if rates.cache_write is None else rates.cache_write
    return cached * (cached_price - usual) + written * (write_price - usual)


def saved_by_cache(usage: TokenUsage, prices: Prices) -> Decimal | None:
    """What the provider's own prompt cache spared: its tokens at the full price, less at their own.

    None where a price or the count is unknown; 0 where cached tokens cost what others do. What
    putting a prompt there cost more is part of what was paid, and not taken off here.
    """
    if usage.prompt is None or usage.cached_prompt is None:
        return None
    rates = prices.rates(usage.prompt)
    if rates.input is None:
        return None
    cached_price = rates.input if rates.cached_input is None else rates.cached_input
    return min(usage.cached_prompt, usage.prompt) * (rates.input - cached_price) / _MILLION


def most_cost(prompt: int, output: int, prices: Prices) -> Decimal | None:
    """The most that a call with so many tokens at most can cost; None where that is unknown.

    Providers that charge for putting a prompt into their cache may do so with all of it, so the
    dearest way of reading counts; and the dearer of answer and thoughts.
    """
    if not prices.known:
        return None
    most = _dearest(prompt, output, prices, prices.reasoning)
    if prices.long_from is not None and prompt >= prices.long_from:
        most = max(most, _dearest(prompt, output, prices.long, prices.reasoning))
    return most / _MILLION + prices.request


def _dearest(prompt: int, output: int, rates: Rates | Prices, reasoning: Decimal | None) -> Decimal:
    reading, writing = rates.input or _NOTHING, rates.output or _NOTHING
    for way in (rates.cached_input, rates.cache_write):
        if way is not None and way > reading:
            reading = way
    if reasoning is not None and reasoning > writing:
        writing = reasoning
    return prompt * reading + output * writing
